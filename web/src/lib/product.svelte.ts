/** The public part of the product file. The last one read is kept, so that the app can open without a server. */
import type { Donations, OpenIdProvider, Operation, Plan, Product } from "../client";
import { api } from "./api";
import { showDollars } from "./format";
import { pictureInput, startsFromWords } from "./inputs";
import { textOf, type TextKey } from "./texts";

const KEPT = "penstock.product";
/** Where neither the product nor the default says: the server's own limit decides then. */
const DEFAULT_MEDIA_TYPES = ["image/jpeg", "image/png", "image/webp"];

class ProductState {
  value: Product | null = $state.raw(null);
  failed = $state(false);

  /** As customers see it. */
  get name(): string {
    return this.value?.brand?.title || this.value?.name || "";
  }

  get allowsAnonymous(): boolean {
    return this.value?.sign_in?.anonymous === true;
  }

  get takesPasswords(): boolean {
    return this.value?.sign_in?.methods?.includes("password") ?? true;
  }

  /** Others that sign customers in. */
  get openIdProviders(): OpenIdProvider[] {
    return this.value?.sign_in?.openid ?? [];
  }

  /** The operations that start from one picture, with texts or without; those that are off last. */
  get operations(): Operation[] {
    const startable = (this.value?.operations ?? []).filter((operation) => pictureInput(operation) !== null);
    return startable.sort((a, b) => Number(a.available === false) - Number(b.available === false));
  }

  /** The operations that start from texts and no picture; those that are off last. */
  get textOperations(): Operation[] {
    const startable = (this.value?.operations ?? []).filter(startsFromWords);
    return startable.sort((a, b) => Number(a.available === false) - Number(b.available === false));
  }

  /** Whether anything is counted in credits here; a product may sell requests alone. */
  get usesCredits(): boolean {
    const { plans = [], topups = [], operations = [], payments } = this.value ?? {};
    return (
      topups.length > 0 ||
      Boolean(payments?.amount) ||
      plans.some((plan) => plan.credits_month) ||
      operations.some((operation) => operation.price?.credits || operation.price?.varies)
    );
  }

  /** The way to start that is offered first: from a picture unless only words can be used. */
  get firstWay(): Way {
    const usable = (operations: Operation[]): boolean => operations.some((each) => each.available !== false);
    if (usable(this.operations) || this.textOperations.length === 0) return "picture";
    return usable(this.textOperations) || this.operations.length === 0 ? "words" : "picture";
  }

  get mediaTypes(): string[] {
    return this.value?.uploads?.media_types ?? DEFAULT_MEDIA_TYPES;
  }

  get maxUploadBytes(): number | null {
    return this.value?.uploads?.max_bytes ?? null;
  }

  /** Whether pictures are better sent past the server. */
  get sendsDirect(): boolean {
    return this.value?.uploads?.direct === true;
  }

  /** What signing up brings, in credits; 0 where there is no free plan or it brings none. */
  get freeCreditsAMonth(): number {
    return this.value?.plans?.find(isFree)?.credits_month ?? 0;
  }

  /** What signing up brings once, in credits. */
  get giftCredits(): number {
    return this.value?.sign_in?.gift_credits ?? 0;
  }

  get donations(): Donations | null {
    return this.value?.donations ?? null;
  }

  operation(id: string): Operation | null {
    return this.value?.operations?.find((operation) => operation.id === id) ?? null;
  }

  text(key: TextKey, values: Record<string, string> = {}): string {
    return textOf(this.value, key, values);
  }
}

export const product = new ProductState();

/** What a job is started from. */
export type Way = "picture" | "words";

export const isFree = (plan: Plan): boolean => Number(plan.price_usd_month ?? 0) === 0;

export const titleOf = (entry: { id: string; title?: string | undefined }): string => entry.title || entry.id;

export async function loadProduct(): Promise<void> {
  try {
    take(await api.product());
    product.failed = false;
    localStorage.setItem(KEPT, JSON.stringify(product.value));
  } catch {
    if (product.value === null) take(kept());
    product.failed = product.value === null;
  }
}

function take(read: Product | null): void {
  const terms = read?.payments?.amount;
  showDollars(terms?.show_usd ? terms.credits_per_usd : null);
  product.value = read;
}

function kept(): Product | null {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "null") as Product | null;
  } catch {
    return null;
  }
}
