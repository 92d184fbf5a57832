/** Of the JavaScript client that a polywire server has at /polywire.js. */

/** The canonical codes; `code` of a PolywireError. */
export type Code =
  | "CANCELLED" | "UNKNOWN" | "INVALID_ARGUMENT" | "DEADLINE_EXCEEDED" | "NOT_FOUND" | "ALREADY_EXISTS"
  | "PERMISSION_DENIED" | "RESOURCE_EXHAUSTED" | "FAILED_PRECONDITION" | "ABORTED" | "OUT_OF_RANGE" | "UNIMPLEMENTED"
  | "INTERNAL" | "UNAVAILABLE" | "DATA_LOSS" | "UNAUTHENTICATED";

export class PolywireError extends Error {
  readonly code: Code;
  /** The service's own, such as "USER_NOT_FOUND"; of the client: "CONNECTION_LOST", "CLIENT_CLOSED", "QUEUE_FULL". */
  readonly reason?: string;
  readonly details: unknown[];
  /** What the server's log has it under. */
  readonly requestId?: string;
}

export type TransportName = "websocket" | "sse" | "polling";

/**
 * connecting: a transport is being opened. open: calls are sent. leaving: the server goes away, what is under way goes
 * on. waiting: for the next attempt. idle: the server has closed a connection without calls, until there is one.
 * closed: for good, by `close()` or because the server said not to come back.
 */
export type State = "connecting" | "open" | "leaving" | "waiting" | "idle" | "closed";

export interface StateDetail {
  state: State;
  transport: TransportName;
  /** Why it is waiting or closed. */
  error?: PolywireError;
}

/** All times are in milliseconds. */
export interface ClientOptions {
  /** The bearer token, or what gives one: asked before each connection, over HTTP before each request. */
  token?: string | (() => string | undefined | Promise<string | undefined>);
  /** What to use, the best first. Default: all three. */
  transports?: TransportName[];
  /** Of the WebSocket endpoint, beneath the URL. Default: "ws". */
  path?: string;
  /** Items of a stream that may wait to be read before the server has to wait. Default: 64. */
  window?: number;
  /** Calls that may wait for the connection; more end with RESOURCE_EXHAUSTED. Default: 1000. */
  maxWaiting?: number;
  /** For a transport to open, and for an answer when it is in doubt. Default: 5,000. */
  connectTimeout?: number;
  /** For a topic's greeting over SSE; without it events are held back on the way: polling is next. Default: 5,000. */
  greetingTimeout?: number;
  /** How long the server may hold an answer back until there is news. Default: 25,000. */
  pollingWait?: number;
  /** Silence after which a stream over SSE that can be resumed is asked for again. Default: 45,000. */
  silence?: number;
  /** How long a connection must last until the back-off begins anew. Default: 10,000. */
  stable?: number;
  /** Each wait is anywhere between none and a bound: first `firstMs` (500), doubled up to `maxMs` (30,000). */
  backoff?: { firstMs?: number; maxMs?: number };
  /** Where there is no global one (Node.js before 22): `ws`, for example. */
  WebSocket?: new (url: string, protocols: string) => any;
  /** Instead of the global one; to send cookies to another origin, for example. */
  fetch?: typeof fetch;
}

export interface CallOptions {
  /** Cancels the call, which then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** In milliseconds, also told to the server. The call ends with DEADLINE_EXCEEDED. */
  timeout?: number;
  metadata?: Record<string, string>;
  /** It may run twice: send it again if the connection is lost before its answer. Default: false. */
  idempotent?: boolean;
}

export interface StreamOptions extends CallOptions {
  /** The position to go on after. */
  after?: string;
  /** Instead of the client's. */
  window?: number;
}

export interface SubscribeOptions extends StreamOptions {
  /** How many of the latest events to begin with. */
  last?: number;
  /** Told where events are missing. Without it the gap comes as an event that has `gap`. */
  onGap?: (gap: Gap) => void;
}

export interface Stream<T> extends AsyncIterableIterator<T> {
  /** Of the last item that was handed out, if the stream has positions. */
  readonly position: string | undefined;
  return(value?: any): Promise<IteratorResult<T, any>>;
}

/**
 * Events that are missing. HISTORY_GONE, EPOCH_CHANGED: what came after the position cannot be had any more. SLOW: the
 * reader does not keep up. NO_POSITION: the connection was lost, and a pattern (`*`) has no position to go on from.
 */
export interface Gap {
  /** The position after which they are missing. */
  after: string;
  reason: "HISTORY_GONE" | "EPOCH_CHANGED" | "SLOW" | "NO_POSITION" | (string & {});
}

export interface Member {
  session: string;
  /** Empty where the app does not know who it is. */
  user: string;
  /** RFC 3339. */
  since: string;
}

/** Exactly one of data, gap, joined and left is there. */
export interface TopicEvent<T> {
  position?: string | null;
  topic?: string;
  data?: T | null;
  gap?: Gap | null;
  joined?: Member | null;
  left?: Member | null;
}

export class Client extends EventTarget {
  constructor(url?: string | URL, options?: ClientOptions);
  readonly state: State;
  readonly transport: TransportName;
  /** A method with one answer. An async iterable as input is a client stream. Rejects with a PolywireError. */
  call<T = any>(method: string, input?: object | AsyncIterable<object>, options?: CallOptions): Promise<T>;
  /** A method with many answers. An async iterable as input makes it go both ways. */
  stream<T = any>(method: string, input?: object | AsyncIterable<object>, options?: StreamOptions): Stream<T>;
  /** Follow a topic: `subscribe("topics.Prices", { symbol: "ACME" })`. */
  subscribe<T = any>(
    topic: string, parameters?: Record<string, unknown>, options?: SubscribeOptions,
  ): Stream<TopicEvent<T>>;
  /** End every call with CANCELLED, and the connection. */
  close(): void;
  addEventListener(
    type: "state", listener: (event: CustomEvent<StateDetail>) => void, options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions,
  ): void;
}

/** Connect to the server at a URL, by default the page's origin; with its path where it is mounted at one ("/api/"). */
export function connect(url?: string | URL, options?: ClientOptions): Client;
