// How operations reach the server: queries and mutations by POST, subscriptions by WebSocket or by events.

const ACCEPT = "application/graphql-response+json, application/json;q=0.9";

// {status, text, ms}; raises what fetch raises.
export async function post(url, request, headers, signal) {
  const started = performance.now();
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", accept: ACCEPT },
    body: JSON.stringify(request),
    credentials: "same-origin",
    signal,
  });
  const text = await response.text();
  return { status: response.status, text, ms: performance.now() - started };
}

// on: {next(response), error(text), end()}; what comes back stops it. Headers go with `connection_init`.
export function overSocket(url, request, headers, on) {
  const address = new URL(url, location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address, "graphql-transport-ws");
  let isOver = false;
  const over = (tell) => {
    if (isOver) return;
    isOver = true;
    socket.close(1000);
    tell();
  };
  socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init", payload: headers }));
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "connection_ack") socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: request }));
    else if (message.type === "ping") socket.send(JSON.stringify({ type: "pong" }));
    else if (message.type === "next" && !isOver) on.next(message.payload);
    else if (message.type === "error") over(() => { on.next({ errors: message.payload }); on.end(); });
    else if (message.type === "complete") over(on.end);
  };
  socket.onclose = (event) => over(() => on.error(`The connection was closed: ${event.code} ${event.reason}`.trim()));
  return () => over(on.end);
}

export function overEvents(url, request, headers, on) {
  const control = new AbortController();
  const read = async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify(request),
      credentials: "same-origin",
      signal: control.signal,
    });
    if (!(response.headers.get("content-type") || "").startsWith("text/event-stream")) {
      on.error(`${response.status}: ${await response.text()}`);
      return;
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let kept = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const events = (kept + value).split("\n\n");
      kept = events.pop();
      for (const event of events) {
        const fields = new Map(event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
        if (fields.get("event") === "next") on.next(JSON.parse(fields.get("data")));
      }
    }
    on.end();
  };
  read().catch((error) => (control.signal.aborted ? on.end() : on.error(String(error))));
  return () => control.abort();
}
