/**
 * The shapes of the HTTP interface, version 1, as the client reads them.
 *
 * Servers may add fields anywhere and a product may leave texts out, so whatever the interface does not
 * promise is optional here and every reader has to cope with its absence.
 */

/** A point as fractions of the picture's width and height, each 0..1. */
export type Point = readonly [number, number];

/** Four corners, clockwise from top left. */
export type Corners = readonly [Point, Point, Point, Point];

export interface Account {
  id: string;
  email: string | null;
  /** True for an anonymous visitor: work is kept with this browser only. */
  visitor?: boolean;
  role?: string;
  /** Whether the e-mail address was confirmed. */
  verified?: boolean;
  plan?: string | null;
  credits: { available: number; held: number };
  limits?: Record<string, unknown>;
  preferences?: Record<string, unknown>;
}

export interface ApiKey {
  id: string;
  name?: string;
  prefix: string;
  last4: string;
  scopes?: string[];
  created_at?: string;
}

/** A letter that was not sent, shown in development. */
export interface Letter {
  id: string;
  to: string;
  subject: string;
  text: string;
  created_at?: string;
}

/** The answer to creating a key: the only time that `key` is shown. */
export interface NewApiKey extends ApiKey {
  key: string;
}

export interface Choice {
  value: string;
  title?: string;
}

export interface OperationOption {
  id: string;
  title?: string;
  description?: string | null;
  kind: "choice" | "toggle" | "range" | "corners" | (string & {});
  default?: unknown;
  choices?: Choice[] | null;
  min?: number | null;
  max?: number | null;
  step?: number | null;
}

export interface OperationInput {
  id: string;
  kind: "picture" | (string & {});
  title?: string;
  required?: boolean;
  /** For texts: how long one may be, and some to start from. */
  max_characters?: number | null;
  templates?: { title: string; text: string }[];
}

/** What one result costs: where options change it, `credits` is the lowest, and `table` says what it is made of. */
export interface ListPrice {
  credits: number;
  varies?: boolean;
  table?: {
    base: number;
    per: Record<string, number>;
    by: Record<string, Record<string, number>>;
  } | null;
}

export interface Operation {
  id: string;
  title?: string;
  description?: string | null;
  available?: boolean;
  unavailable_reason?: string | null;
  inputs?: OperationInput[];
  options?: OperationOption[];
  price?: ListPrice;
  output?: { kind: string };
  limitations?: string | null;
}

export interface Plan {
  id: string;
  title?: string;
  price_usd_month?: string | null;
  price_usd_year?: string | null;
  credits_month?: number;
  description?: string | null;
  features?: string[];
  limits?: { running: number; jobs_per_hour?: number | null; jobs_per_day?: number | null };
}

export interface TopUp {
  id: string;
  credits: number;
  price_usd: string;
}

export interface Product {
  id?: string;
  name: string;
  version?: string;
  brand?: { title?: string; tagline?: string; accent?: string; accent_dark?: string };
  texts?: Record<string, string>;
  operations?: Operation[];
  plans?: Plan[];
  topups?: TopUp[];
  sign_in?: {
    methods?: string[];
    anonymous?: boolean;
    anonymous_plan?: string | null;
    gift_credits?: number;
    openid?: OpenIdProvider[];
  };
  uploads?: { max_bytes?: number; media_types?: string[]; direct?: boolean };
  payments?: { checkout?: string | null; amount?: FreeAmount | null };
  donations?: Donations | null;
}

/** Somewhere to sign in: its address is `PenstockClient.signInUrl`. */
export interface OpenIdProvider {
  id: string;
  title: string;
}

/** Where to send a picture that was announced. */
export interface Presigned {
  id: string;
  url: string;
  fields: Record<string, string>;
}

/** Credits for an amount of one's own choice, in dollars. */
export interface FreeAmount {
  min_usd: string;
  max_usd: string;
  credits_per_usd: number;
  /** Show credits as dollars, at this rate. */
  show_usd?: boolean;
}

/** What a donation is and does. */
export interface Donations {
  min_usd: string;
  max_usd: string;
  suggested_usd?: string[];
  /** The plan that it brings. */
  plan: string;
  /** For how long; null: for good. */
  days?: number | null;
  prompt?: string;
}

/** What led to the page for donations. */
export type DonationPlace = "result" | "limit" | "pricing" | "account" | "elsewhere";

export type Interval = "month" | "year";

export interface Subscription {
  plan: string;
  title: string;
  status: string;
  interval: Interval;
  price_usd?: string | null;
  /** Null when it ends. */
  renews_at?: string | null;
  ends_at?: string | null;
  next_plan?: string | null;
}

export interface SubscriptionStanding {
  subscription: Subscription | null;
  if_cancelled: { ends_at: string; credits_lost: number; meaning: string } | null;
}

export interface SubscriptionChanged {
  subscription: Subscription;
  meaning: string;
}

export interface Payment {
  id: string;
  kind: string;
  title: string;
  status: string;
  amount_usd: string;
  currency?: string;
  credits?: number;
  credits_taken_back?: number;
  url?: string | null;
  created_at?: string;
}

/** What is paid on a page of the test checkout, where no money moves. */
export interface TestCheckout {
  id: string;
  title: string;
  price_usd: string;
  interval?: Interval | null;
  back: string;
}

/** One of the four. */
export type Purchase =
  | { plan: string; interval: Interval }
  | { topup: string }
  | { amount: string }
  | { donation: string };

export interface Upload {
  id: string;
  media_type?: string;
  bytes?: number;
  width: number;
  height: number;
  /** Where the server found a print inside the picture; null when it found none. */
  corners: Corners | null;
  expires_at?: string | null;
}

export type JobStatus = "queued" | "running" | "cancelling" | "succeeded" | "failed" | "cancelled" | "expired";

/** Seconds, the 10 % and 90 % points of the likely wait. */
export interface Wait {
  low_s: number;
  high_s: number;
}

export interface Action {
  kind: "wait" | "upgrade" | "top_up" | "donate" | "sign_in" | "change_input" | "contact" | (string & {});
  label: string;
  url?: string | null;
}

export interface JobError {
  code?: string;
  title?: string;
  detail?: string;
  actions?: Action[];
}

export interface ResultReference {
  id: string;
  expires_at?: string | null;
  width?: number;
  height?: number;
}

export interface Job {
  id: string;
  operation: string;
  status: JobStatus;
  stage?: string | null;
  /** 0..1 */
  progress?: number | null;
  /** 1 is the next to start. */
  position?: number | null;
  wait?: Wait | null;
  price?: number | { credits: number } | null;
  plan?: string | null;
  inputs?: Record<string, unknown>;
  options?: Record<string, unknown>;
  result?: ResultReference | null;
  output?: Record<string, unknown> | null;
  error?: JobError | null;
  attempts?: number;
  created_at: string;
  started_at?: string | null;
  finished_at?: string | null;
}

export interface JobRequest {
  operation: string;
  inputs: Record<string, string>;
  options: Record<string, unknown>;
}

/** What is used of a limit in a window that ends now. */
export interface WindowUsed {
  used: number;
  limit: number | null;
  remaining: number | null;
  resets_in_s: number | null;
}

export interface Quote {
  price: number | { credits: number };
  credits_after?: number | null;
  /** The stored result of an identical request is given, at this price. */
  cached?: boolean;
  wait?: Wait | null;
  plan_limits?: { hour?: WindowUsed; day?: WindowUsed } | null;
}

export interface Variant {
  name: string;
  media_type?: string;
  bytes?: number;
  width?: number | null;
  height?: number | null;
}

export interface Result {
  id: string;
  job: string;
  media_type: string;
  bytes?: number;
  width?: number | null;
  height?: number | null;
  /** Seconds, of a video. */
  duration_s?: number | null;
  expires_at?: string | null;
  variants?: Variant[];
}

export interface Lot {
  kind: string;
  remaining: number;
  granted: number;
  expires_at?: string | null;
}

export interface Credits {
  available: number;
  held: number;
  debt?: number;
  lots?: Lot[];
}

/** One change of the credits: its reason and what it belongs to. */
export interface CreditEntry {
  id: string | number;
  created_at?: string;
  /** What it did to the credits at hand. */
  amount: number;
  /** What it did to the credits held for work under way. */
  held?: number;
  reason?: string;
  kind?: string;
  job?: string | null;
  /** By how much it changed what is owed. */
  debt?: number;
  /** For what credits were taken back; begins as `source` does. */
  cause?: string | null;
  /** What the credits came from: those of a payment begin with its provider and its id. */
  source?: string | null;
}

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** `id` grows, so the last one seen is the place to resume from. */
export interface LiveEvent {
  id: string | number;
  type: string;
  job: string;
  at?: string;
  data?: Record<string, unknown> | null;
}

export const ENDED: ReadonlySet<JobStatus> = new Set(["succeeded", "failed", "cancelled", "expired"]);

export const hasEnded = (job: Pick<Job, "status">): boolean => ENDED.has(job.status);
