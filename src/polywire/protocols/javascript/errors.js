// What a call, a stream or the connection ends with.

/** code: one of the canonical codes, such as `NOT_FOUND`; reason: the service's own, such as `USER_NOT_FOUND`. */
export class PolywireError extends Error {
  constructor(code, message, { reason, details = [], requestId } = {}) {
    super(message);
    this.name = "PolywireError";
    this.code = code;
    this.reason = reason;
    this.details = details;
    this.requestId = requestId;
  }

  /** Of an error as the server tells it, over a WebSocket and in the envelope of REST alike. */
  static of({ code, message, reason, details, request_id: requestId }) {
    return new PolywireError(code ?? "UNKNOWN", message ?? "the server tells no more", { reason, details, requestId });
  }
}

const STATUSES = {
  400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 405: "UNIMPLEMENTED",
  408: "UNAVAILABLE", 413: "RESOURCE_EXHAUSTED", 429: "RESOURCE_EXHAUSTED", 501: "UNIMPLEMENTED", 502: "UNAVAILABLE",
  503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
};

/** Of an answer that has no envelope: a proxy's, not the server's own. */
export const errorOfStatus = (status) =>
  new PolywireError(STATUSES[status] ?? "UNKNOWN", `the answer has the status ${status}`, { reason: `HTTP_${status}` });

export const connectionLost = () =>
  new PolywireError("UNAVAILABLE", "the connection was lost before the call ended", { reason: "CONNECTION_LOST" });
