import type {
  TRPCBuiltRouter,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
  TRPCSubscriptionProcedure,
} from "@trpc/server";

/** What an error tells beside its message. */
export interface ErrorData {
  /** tRPC's name of the error: `NOT_FOUND`. */
  code: string;
  httpStatus: number;
  /** The canonical code: `ALREADY_EXISTS`. */
  status: string;
  path?: string;
  /** The service's own stable string: `USER_NOT_FOUND`. */
  reason?: string;
  /** The fields that are wrong, and whatever else the service tells. */
  details?: Array<{ field: string; reason: string } | Record<string, unknown>>;
  requestId: string;
}

export interface ErrorShape {
  message: string;
  code: number;
  data: ErrorData;
}

export interface HelloReply {
  message: string;
  server_id: string;
  /** Unix time in seconds. */
  timestamp: number;
}

export interface WeatherResponse {
  /** Degrees Celsius. */
  temperature: number;
  /** Percent. */
  humidity: number;
  description: string;
  /** Unix time in seconds. */
  timestamp: number;
}

export interface User {
  id: number;
  name: string;
  email: string;
  age: number | null;
  roles: Array<string>;
}

export interface UserPage {
  users: Array<User>;
  /** How many there are on all pages. */
  total: number;
  /** Where the next page begins; null on the last one. */
  next_offset: number | null;
}

export interface Order {
  id: number;
  total: string;
  status: OrderStatus;
  items: Array<OrderItem>;
}

export type OrderStatus = "PENDING" | "PAID" | "SHIPPED" | "CANCELLED";

export interface OrderItem {
  product_name: string;
  quantity: number;
}

export interface EventPage {
  events: Array<Event>;
  /** What to go on after; null where there is no more. */
  next_after_id: number | null;
}

export interface Event {
  id: number;
  /** `user.created`, `order.placed`, `order.shipped` and so on. */
  kind: string;
  /** The id of what it happened to. */
  subject: number;
  at: string;
}

export interface Repository {
  id: string;
  description: string;
  stars: number;
}

export interface PullRequest {
  id: string;
  number: number;
  title: string;
  author: string;
}

export interface PullRequestReview {
  author: string;
  verdict: Verdict;
  text: string;
}

export type Verdict = "APPROVED" | "CHANGES_REQUESTED" | "COMMENTED";

export interface Commit {
  id: string;
  message: string;
}

export interface Check {
  name: string;
  state: CheckState;
  seconds: number;
}

export type CheckState = "PASSED" | "FAILED" | "RUNNING";

export interface DownloadChunk {
  data: string;
}

export interface LogLine {
  text: string;
  /** Where the next line begins, in bytes: go on from there. */
  offset: number;
}

export interface Build {
  id: number;
  project: string;
}

export interface BuildStatus {
  id: number;
  state: BuildState;
  percent: number;
  /** Unix time in seconds when this state began. */
  timestamp: number;
}

export type BuildState = "queued" | "fetching" | "compiling" | "testing" | "passed";

export interface Hops {
  /** In the order of the calls. */
  hops: Array<Hop>;
}

export interface Hop {
  service: string;
  /** Seconds that it had left when it was called; null: it had no deadline. */
  remaining_s: number | null;
}

export interface Said {
  /** Of the message, in the room's topic. */
  position: string;
}

export interface StockUpdate {
  symbol: string;
  price: number;
}

/** A price, or only a gap: prices were missed here, and what they are now is to be asked for. */
export interface StockEvent {
  symbol?: string;
  price?: number;
  gap?: Gap;
}

/** Messages are missing here: what depends on them must be fetched anew. */
export interface Gap {
  after: string;
  reason: GapReason;
}

/** Why messages are missing. */
export type GapReason = "HISTORY_GONE" | "EPOCH_CHANGED" | "SLOW";

export interface Alert {
  symbol: string;
  price: number;
  /** That the price has crossed. */
  limit: number;
}

export interface StockOrder {
  id: number;
  symbol: string;
  quantity: number;
  /** For each of them. */
  price: number;
  key: string;
}

export interface Bars {
  symbol: string;
  bars: Array<Bar>;
}

export interface Bar {
  day: string;
  open: number;
  high: number;
  low: number;
  close: number;
}

export interface Posted {
  id: number;
  user: string;
  text: string;
  /** Unix time in seconds. */
  timestamp: number;
}

export interface Measure {
  /** Unix time in seconds. */
  timestamp: number;
  value: number;
}

/** One message of the topic, or what happened to it. Only a position: the greeting, from which one resumes. */
export interface RoomsEvent {
  position: string;
  topic: string;
  data: RoomMessage | null;
  gap: Gap | null;
  joined: Member | null;
  left: Member | null;
}

export interface RoomMessage {
  user: string;
  text: string;
  /** Unix time in seconds. */
  timestamp: number;
}

/** One subscription that others see. */
export interface Member {
  session: string;
  user: string;
  since: string;
}

/** A part of the topic's history, the oldest first. position: to go on after. */
export interface RoomsHistory {
  events: Array<RoomsEvent>;
  position: string;
  gap: Gap | null;
}

/** Who subscribes now, the longest first. */
export interface Members {
  members: Array<Member>;
}

/** One message of the topic, or what happened to it. Only a position: the greeting, from which one resumes. */
export interface TypingEvent {
  position: string;
  topic: string;
  data: Typist | null;
  gap: Gap | null;
  joined: Member | null;
  left: Member | null;
}

export interface Typist {
  user: string;
}

/** A part of the topic's history, the oldest first. position: to go on after. */
export interface TypingHistory {
  events: Array<TypingEvent>;
  position: string;
  gap: Gap | null;
}

/** One message of the topic, or what happened to it. Only a position: the greeting, from which one resumes. */
export interface StocksEvent {
  position: string;
  topic: string;
  data: StockUpdate | null;
  gap: Gap | null;
  joined: Member | null;
  left: Member | null;
}

/** A part of the topic's history, the oldest first. position: to go on after. */
export interface StocksHistory {
  events: Array<StocksEvent>;
  position: string;
  gap: Gap | null;
}

/** One message of the topic, or what happened to it. Only a position: the greeting, from which one resumes. */
export interface ConfirmationsEvent {
  position: string;
  topic: string;
  data: StockOrder | null;
  gap: Gap | null;
  joined: Member | null;
  left: Member | null;
}

/** A part of the topic's history, the oldest first. position: to go on after. */
export interface ConfirmationsHistory {
  events: Array<ConfirmationsEvent>;
  position: string;
  gap: Gap | null;
}

export interface HelloRequest {
  name: string;
  language?: string;
  metadata?: Record<string, string>;
}

export interface GetWeatherRequest {
  /** Three letters, `LON`. */
  city_code: string;
  /** Describe it in more words. */
  extended?: boolean;
}

export interface CreateUserRequest {
  name: string;
  email: string;
  age?: number | null;
}

export interface CallRequest {
}

/** Give it to `createTRPCClient<AppRouter>`. */
export type AppRouter = TRPCBuiltRouter<
  { ctx: object; meta: object; errorShape: ErrorShape; transformer: false },
  {
    /** Says hello. */
    greeter: {
      /** Greets by name, in English where the language is not known. */
      sayHello: TRPCQueryProcedure<{ input: HelloRequest; output: HelloReply; meta: object }>;
      /** Five messages, a second apart. */
      sayHelloStream: TRPCSubscriptionProcedure<{ input: HelloRequest; output: AsyncIterable<HelloReply, void, unknown>; meta: object }>;
    };
    /** The weather in a few cities. */
    weather: {
      /** The weather now. */
      getWeather: TRPCQueryProcedure<{ input: GetWeatherRequest; output: WeatherResponse; meta: object }>;
      /** The weather now, and again every second for as long as somebody listens. */
      subscribeWeather: TRPCSubscriptionProcedure<{ input: GetWeatherRequest; output: AsyncIterable<WeatherResponse, void, unknown>; meta: object }>;
    };
    /** Looks after users. */
    user: {
      /** One user, by id. */
      getUser: TRPCQueryProcedure<{ input: { id: number | string }; output: User; meta: object }>;
      /** Opens an account. An e-mail address can have only one. */
      createUser: TRPCMutationProcedure<{ input: CreateUserRequest; output: User; meta: object }>;
      /** Changes what is given and leaves the rest as it is. */
      updateUser: TRPCMutationProcedure<{ input: { id: number | string; name?: string | null; email?: string | null; age?: number | null }; output: User; meta: object }>;
      /** Closes an account. */
      deleteUser: TRPCMutationProcedure<{ input: { id: number | string }; output: void; meta: object }>;
      /** One page of users in the order of their ids, of one role if it is given. */
      findUsers: TRPCQueryProcedure<{ input: { role?: string | null; offset?: number; limit?: number } | void; output: UserPage; meta: object }>;
      /** The first users in the order of their ids, of one role if it is given. */
      users: TRPCQueryProcedure<{ input: { role?: string | null; limit?: number } | void; output: Array<User>; meta: object }>;
      /** Every user, as a stream. `page_size` caps it, `page_token` is the id to go on after. */
      listUsers: TRPCSubscriptionProcedure<{ input: { page_size?: number; page_token?: string } | void; output: AsyncIterable<User, void, unknown>; meta: object }>;
    };
    /** Looks after orders. */
    order: {
      /** The last orders of a user, the oldest first. */
      listOrders: TRPCQueryProcedure<{ input: { user_id: number | string; last?: number }; output: Array<Order>; meta: object }>;
      /** One order of a user. */
      getOrder: TRPCQueryProcedure<{ input: { user_id: number | string; id: number | string }; output: Order; meta: object }>;
      /** Orders a product. */
      placeOrder: TRPCMutationProcedure<{ input: { user_id: number | string; product_id: number; quantity?: number }; output: Order; meta: object }>;
      /** Moves an order on. */
      setOrderStatus: TRPCMutationProcedure<{ input: { user_id: number | string; id: number | string; status: OrderStatus }; output: Order; meta: object }>;
      /** Cancels an order; it stays to be seen, as CANCELLED. */
      cancelOrder: TRPCMutationProcedure<{ input: { user_id: number | string; id: number | string }; output: void; meta: object }>;
      /** Every order of a user as it is placed or changes, from now on. Within one process. */
      watchOrders: TRPCSubscriptionProcedure<{ input: { user_id: number | string }; output: AsyncIterable<Order, void, unknown>; meta: object }>;
      /** What has happened, the oldest first: `after_id` is the last one that was seen. */
      listEvents: TRPCQueryProcedure<{ input: { after_id?: number; limit?: number } | void; output: EventPage; meta: object }>;
    };
    /** Where code is looked after. */
    repositories: {
      /** A repository, by its name. */
      getRepository: TRPCQueryProcedure<{ input: { id: string }; output: Repository; meta: object }>;
      /** The open pull requests of a repository. */
      listPullRequests: TRPCQueryProcedure<{ input: { id: string; first?: number }; output: Array<PullRequest>; meta: object }>;
      /** The reviews of a pull request. */
      listReviews: TRPCQueryProcedure<{ input: { id: string; limit?: number }; output: Array<PullRequestReview>; meta: object }>;
      /** The commits of a pull request. */
      listCommits: TRPCQueryProcedure<{ input: { id: string; limit?: number }; output: Array<Commit>; meta: object }>;
      /** What was checked of a commit. */
      listChecks: TRPCQueryProcedure<{ input: { id: string; limit?: number }; output: Array<Check>; meta: object }>;
    };
    /** Keeps files in a directory. */
    files: {
      /** A file, from `offset` on, in pieces of 64 KiB. */
      download: TRPCSubscriptionProcedure<{ input: { name: string; offset?: number }; output: AsyncIterable<DownloadChunk, void, unknown>; meta: object }>;
    };
    /** Tells what is in a log. */
    logs: {
      /** Every whole line from `offset` on, and each new one when it is written, for as long as somebody listens. */
      tail: TRPCSubscriptionProcedure<{ input: { offset?: number } | void; output: AsyncIterable<{ id: string; data: LogLine }, void, unknown>; meta: object }>;
    };
    /** Builds projects, and says how far it is. */
    builds: {
      /** Begins to build a project. */
      startBuild: TRPCMutationProcedure<{ input: { project: string }; output: Build; meta: object }>;
      /** Each state of a build, those that it has gone through as well; ends when the build does. */
      watchBuild: TRPCSubscriptionProcedure<{ input: { id: number }; output: AsyncIterable<{ id: string; data: BuildStatus }, void, unknown>; meta: object }>;
    };
    /** Where the chain begins. */
    a: {
      /** How long each had. At the deadline all of them stop. */
      call: TRPCQueryProcedure<{ input: void; output: Hops; meta: object }>;
    };
    /** Takes its time, then calls C. work_s: how much, in seconds. */
    b: {
      /** How long it had, and how long C had. */
      call: TRPCQueryProcedure<{ input: void; output: Hops; meta: object }>;
    };
    /** The last of the chain. */
    c: {
      /** How long it has. */
      call: TRPCQueryProcedure<{ input: void; output: Hops; meta: object }>;
    };
    /** Says things in rooms; `topics.Rooms` is where they are heard. */
    chat: {
      /** Says something to everybody in a room. */
      say: TRPCMutationProcedure<{ input: { room: string; user: string; text: string; key?: string }; output: Said; meta: object }>;
      /** Tells a room that somebody is typing. */
      type: TRPCMutationProcedure<{ input: { room: string; user: string }; output: void; meta: object }>;
    };
    /** Trades stocks. */
    market: {
      /** The last price of each of the fifty stocks. */
      listStocks: TRPCQueryProcedure<{ input: void; output: Array<StockUpdate>; meta: object }>;
      /** Every price from now on; whoever comes back gets those that were missed, after a gap where some are gone. */
      stockUpdates: TRPCSubscriptionProcedure<{ input: { after?: string | null } | void; output: AsyncIterable<{ id: string; data: StockEvent }, void, unknown>; meta: object }>;
      /** Each time that the price of a stock crosses a limit. */
      watchAlerts: TRPCSubscriptionProcedure<{ input: { symbol: string; limit: number }; output: AsyncIterable<Alert, void, unknown>; meta: object }>;
      /** Buys; sent again with its key it is confirmed again, and not bought twice. */
      buyStock: TRPCMutationProcedure<{ input: { symbol: string; quantity: number; key: string }; output: StockOrder; meta: object }>;
      /** Former days, which change no more and may be kept for a day. There are `days`. */
      listBars: TRPCQueryProcedure<{ input: { symbol: string; until?: string | null; days?: number }; output: Bars; meta: object }>;
    };
    /** Keeps the last 1000 messages. */
    messages: {
      /** Keeps a message, and wakes those who wait for one. */
      postMessage: TRPCMutationProcedure<{ input: { user: string; text: string }; output: Posted; meta: object }>;
      /** Those after `since`; with `wait` as soon as there are some, or none after 30 s. */
      listMessages: TRPCQueryProcedure<{ input: { since?: number; wait?: boolean } | void; output: Array<Posted>; meta: object }>;
      /** A measurement every second. */
      events: TRPCSubscriptionProcedure<{ input: void; output: AsyncIterable<Measure, void, unknown>; meta: object }>;
    };
    /** The topic rooms.{room}. */
    rooms: {
      /** Messages as they are published. */
      subscribe: TRPCSubscriptionProcedure<{ input: { room: string; after?: string | null; last?: number }; output: AsyncIterable<{ id: string; data: RoomsEvent }, void, unknown>; meta: object }>;
      /** What the history keeps after a position, the oldest first. */
      history: TRPCQueryProcedure<{ input: { room: string; after?: string | null; limit?: number; wait_s?: number }; output: RoomsHistory; meta: object }>;
      /** Who subscribes now, 10,000 at most. */
      members: TRPCQueryProcedure<{ input: { room: string }; output: Members; meta: object }>;
    };
    /** The topic typing.{room}. */
    typing: {
      /** Messages as they are published. */
      subscribe: TRPCSubscriptionProcedure<{ input: { room: string; after?: string | null; last?: number }; output: AsyncIterable<{ id: string; data: TypingEvent }, void, unknown>; meta: object }>;
      /** What the history keeps after a position, the oldest first. */
      history: TRPCQueryProcedure<{ input: { room: string; after?: string | null; limit?: number; wait_s?: number }; output: TypingHistory; meta: object }>;
    };
    /** The topic stocks. */
    stocks: {
      /** Messages as they are published. */
      subscribe: TRPCSubscriptionProcedure<{ input: { after?: string | null; last?: number } | void; output: AsyncIterable<{ id: string; data: StocksEvent }, void, unknown>; meta: object }>;
      /** What the history keeps after a position, the oldest first. */
      history: TRPCQueryProcedure<{ input: { after?: string | null; limit?: number; wait_s?: number } | void; output: StocksHistory; meta: object }>;
    };
    /** The topic confirmations. */
    confirmations: {
      /** Messages as they are published. */
      subscribe: TRPCSubscriptionProcedure<{ input: { after?: string | null; last?: number } | void; output: AsyncIterable<{ id: string; data: ConfirmationsEvent }, void, unknown>; meta: object }>;
      /** What the history keeps after a position, the oldest first. */
      history: TRPCQueryProcedure<{ input: { after?: string | null; limit?: number; wait_s?: number } | void; output: ConfirmationsHistory; meta: object }>;
    };
  }
>;
