/**
 * Every call of the HTTP interface that the app makes, by name. Usable on its own, in any page or program
 * with `fetch`: `new PenstockClient({ base: "https://example.org", token: "..." })`.
 */
import { Transport, type TransportOptions } from "./transport";
import type {
  Account,
  ApiKey,
  CreditEntry,
  Credits,
  DonationPlace,
  Interval,
  Job,
  JobRequest,
  Letter,
  NewApiKey,
  Page,
  Payment,
  Plan,
  Product,
  Purchase,
  Quote,
  Result,
  SubscriptionChanged,
  SubscriptionStanding,
  TestCheckout,
  TopUp,
  Upload,
} from "./types";
import { sendDirect } from "./direct";
import { Problem } from "./problem";
import { sendFile, type UploadOptions } from "./upload";

export interface Credentials {
  email: string;
  password: string;
}

export interface JobFilter {
  status?: string;
  operation?: string;
  limit?: number;
  cursor?: string | null | undefined;
}

const PAGE_ROWS = 24;

const query = (values: Record<string, string | number | null | undefined>): string => {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text && `?${text}`;
};

const id = encodeURIComponent;

export class PenstockClient {
  readonly transport: Transport;

  constructor(options: TransportOptions = {}) {
    this.transport = new Transport(options);
  }

  // Who is calling

  async register(credentials: Credentials): Promise<void> {
    await this.transport.json("/auth/register", { method: "POST", json: credentials, renew: false });
  }

  async login(credentials: Credentials): Promise<void> {
    await this.transport.json("/auth/login", { method: "POST", json: credentials, renew: false });
  }

  async logout(): Promise<void> {
    await this.transport.json("/auth/logout", { method: "POST", renew: false });
  }

  /** Ends every session of the account, this one too. */
  async logoutEverywhere(): Promise<void> {
    await this.transport.json("/auth/logout/everywhere", { method: "POST" });
  }

  /** Where a browser goes to sign in at an OpenID provider; it comes back to the page `next`. */
  signInUrl(provider: string, next: string): string {
    return this.transport.url(`/auth/openid/${id(provider)}${query({ next: next === "/" ? null : next })}`);
  }

  /** Takes the address as confirmed; `token` is what stood behind the # of the link. */
  async verify(token: string): Promise<void> {
    await this.transport.json("/auth/verify", { method: "POST", json: { token }, renew: false });
  }

  async sendVerification(): Promise<void> {
    await this.transport.json("/auth/verify/send", { method: "POST" });
  }

  /** Has a link for a new password sent, if there is such an account; it is never told. */
  async askReset(email: string): Promise<void> {
    await this.transport.json("/auth/reset", { method: "POST", json: { email }, renew: false });
  }

  async resetPassword(token: string, password: string): Promise<void> {
    await this.transport.json("/auth/reset/confirm", { method: "POST", json: { token, password }, renew: false });
  }

  /** Letters that were not sent: in development only. */
  async outbox(): Promise<Letter[]> {
    return (await this.transport.json<{ items: Letter[] }>("/outbox")).items;
  }

  /** Null when nobody is signed in; renews the session first if that helps. */
  async me(): Promise<Account | null> {
    const askedAt = Date.now();
    const ask = (): Promise<Account> => this.transport.json<Account>("/me", { renew: false });
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
    }
    if (!(await this.transport.renew(askedAt))) return null;
    return ask().catch((error: unknown) => {
      if (error instanceof Problem && error.status === 401) return null;
      throw error;
    });
  }

  /** The keys of this account; null where the server does not list them. */
  async keys(): Promise<ApiKey[] | null> {
    try {
      const answer = await this.transport.json<ApiKey[] | { items: ApiKey[] }>("/me/keys");
      return Array.isArray(answer) ? answer : answer.items;
    } catch (error) {
      if (error instanceof Problem && (error.status === 404 || error.status === 405)) return null;
      throw error;
    }
  }

  createKey(name: string, scopes: string[]): Promise<NewApiKey> {
    return this.transport.json("/me/keys", { method: "POST", json: { name, scopes } });
  }

  deleteKey(key: string): Promise<void> {
    return this.transport.json(`/me/keys/${id(key)}`, { method: "DELETE" });
  }

  // The product

  product(): Promise<Product> {
    return this.transport.json("/product");
  }

  async plans(): Promise<Plan[]> {
    const answer = await this.transport.json<Plan[] | Page<Plan>>("/plans");
    return Array.isArray(answer) ? answer : answer.items;
  }

  async topups(): Promise<TopUp[]> {
    const answer = await this.transport.json<TopUp[] | Page<TopUp>>("/topups");
    return Array.isArray(answer) ? answer : answer.items;
  }

  // Work

  async upload(file: Blob, name: string, options: UploadOptions = {}): Promise<Upload> {
    const elsewhere = options.direct === true ? await sendDirect(this.transport, file, options) : null;
    if (elsewhere !== null) return elsewhere;
    const url = this.transport.url("/uploads");
    const sentAt = Date.now();
    const send = (): Promise<Upload> => sendFile(url, file, name, { ...options, token: this.transport.token });
    try {
      return await send();
    } catch (error) {
      const signedOut = error instanceof Problem && error.status === 401;
      if (!signedOut || !(await this.transport.renew(sentAt))) throw error;
      return send();
    }
  }

  readUpload(upload: string): Promise<Upload> {
    return this.transport.json(`/uploads/${id(upload)}`);
  }

  quote(request: JobRequest, signal?: AbortSignal): Promise<Quote> {
    return this.transport.json("/jobs/quote", { method: "POST", json: request, signal });
  }

  /** `key` must stay the same while the same click is tried again, and be new for every other. */
  submit(request: JobRequest, key: string): Promise<Job> {
    const headers = { "idempotency-key": key };
    return this.transport.json("/jobs", { method: "POST", json: request, headers });
  }

  job(job: string, signal?: AbortSignal): Promise<Job> {
    return this.transport.json(`/jobs/${id(job)}`, { signal });
  }

  jobs(filter: JobFilter = {}): Promise<Page<Job>> {
    return this.transport.json(`/jobs${query({ limit: PAGE_ROWS, ...filter })}`);
  }

  cancel(job: string): Promise<Job> {
    return this.transport.json(`/jobs/${id(job)}/cancel`, { method: "POST" });
  }

  retry(job: string): Promise<Job> {
    return this.transport.json(`/jobs/${id(job)}/retry`, { method: "POST" });
  }

  result(result: string): Promise<Result> {
    return this.transport.json(`/results/${id(result)}`);
  }

  deleteResult(result: string): Promise<void> {
    return this.transport.json(`/results/${id(result)}`, { method: "DELETE" });
  }

  /** The address of one file of a result, for an image or a download link. */
  fileUrl(result: string, variant: string, download = false): string {
    const search = query({ variant, download: download ? 1 : undefined });
    return this.transport.url(`/results/${id(result)}/file${search}`);
  }

  // Buying

  /** Where it is paid. `key` stays the same while the same click is tried again. */
  /** Counts that somebody went to the page for donations. */
  async countDonationClick(place: DonationPlace): Promise<void> {
    await this.transport.json("/billing/donation-clicks", { method: "POST", json: { place } });
  }

  async checkout(purchase: Purchase, key: string): Promise<string> {
    const headers = { "idempotency-key": key };
    const page = await this.transport.json<{ url: string }>("/billing/checkout", {
      method: "POST",
      json: purchase,
      headers,
    });
    return page.url;
  }

  async portal(): Promise<string> {
    return (await this.transport.json<{ url: string }>("/billing/portal", { method: "POST" })).url;
  }

  subscription(): Promise<SubscriptionStanding> {
    return this.transport.json("/billing/subscription");
  }

  /** With `preview`, only says what it would mean. */
  changePlan(plan: string, interval: Interval | null, preview = false): Promise<SubscriptionChanged> {
    return this.transport.json("/billing/subscription", { method: "POST", json: { plan, interval, preview } });
  }

  cancelPlan(): Promise<SubscriptionChanged> {
    return this.transport.json("/billing/subscription", { method: "DELETE" });
  }

  resumePlan(): Promise<SubscriptionChanged> {
    return this.transport.json("/billing/subscription/resume", { method: "POST" });
  }

  payments(cursor?: string | null): Promise<Page<Payment>> {
    return this.transport.json(`/billing/payments${query({ limit: PAGE_ROWS, cursor })}`);
  }

  testCheckout(page: string): Promise<TestCheckout> {
    return this.transport.json(`/billing/test-checkout/${id(page)}`);
  }

  async payTestCheckout(page: string): Promise<string> {
    const path = `/billing/test-checkout/${id(page)}`;
    return (await this.transport.json<{ url: string }>(path, { method: "POST" })).url;
  }

  // Credits

  credits(): Promise<Credits> {
    return this.transport.json("/credits");
  }

  creditEntries(cursor?: string | null): Promise<Page<CreditEntry>> {
    return this.transport.json(`/credits/entries${query({ limit: PAGE_ROWS, cursor })}`);
  }
}
