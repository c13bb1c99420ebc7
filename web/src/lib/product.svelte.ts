/** The public part of the product file. The last one read is kept, so that the app can open without a server. */
import type { Operation, Plan, Product } from "../client";
import { api } from "./api";
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

  /** The operations that start from one picture, which is all that this app can start; those that are off last. */
  get operations(): Operation[] {
    const startable = (this.value?.operations ?? []).filter((operation) => pictureInput(operation) !== null);
    return startable.sort((a, b) => Number(a.available === false) - Number(b.available === false));
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

  operation(id: string): Operation | null {
    return this.value?.operations?.find((operation) => operation.id === id) ?? null;
  }

  text(key: TextKey, values: Record<string, string> = {}): string {
    return textOf(this.value, key, values);
  }
}

export const product = new ProductState();

/** The id of the one picture that the operation needs; null when it needs something else. */
export function pictureInput(operation: Operation): string | null {
  const inputs = operation.inputs ?? [];
  const [first] = inputs.filter((input) => input.kind === "picture");
  const others = inputs.filter((input) => input !== first && input.required !== false);
  return first && others.length === 0 ? first.id : null;
}

export const isFree = (plan: Plan): boolean => Number(plan.price_usd_month ?? 0) === 0;

export const titleOf = (entry: { id: string; title?: string | undefined }): string => entry.title || entry.id;

export async function loadProduct(): Promise<void> {
  try {
    product.value = await api.product();
    product.failed = false;
    localStorage.setItem(KEPT, JSON.stringify(product.value));
  } catch {
    product.value ??= kept();
    product.failed = product.value === null;
  }
}

function kept(): Product | null {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "null") as Product | null;
  } catch {
    return null;
  }
}
