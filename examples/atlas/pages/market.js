import { connect } from "/polywire.js";
import { $, append, drawn, element, json, listen, post, timeOf } from "./demo.js";

const rows = new Map();
let chosen = "ACME";

function row(symbol) {
  const cells = [element("td", {}, symbol), element("td", { class: "number" }), element("td", { class: "number" })];
  const line = element("tr", { tabindex: "0" }, ...cells);
  line.addEventListener("click", () => choose(symbol));
  line.addEventListener("keydown", ({ key }) => key === "Enter" && choose(symbol));
  $("prices").append(line);
  return { line, price: cells[1], change: cells[2], first: null };
}

function priced({ symbol, price }) {
  if (!rows.has(symbol)) rows.set(symbol, row(symbol));
  const one = rows.get(symbol);
  if (one.price.textContent === price.toFixed(2)) return;
  one.first ??= price;
  const change = (price / one.first - 1) * 100;
  one.price.textContent = price.toFixed(2);
  one.change.textContent = `${change > 0 ? "+" : ""}${change.toFixed(2)} %`;
  one.change.className = `number ${change ? (change > 0 ? "up" : "down") : "flat"}`;
}

async function choose(symbol) {
  rows.get(chosen)?.line.removeAttribute("aria-selected");
  chosen = symbol;
  rows.get(symbol)?.line.setAttribute("aria-selected", "true");
  $("chosen").textContent = symbol;
  $("limit").value = rows.get(symbol)?.price.textContent ?? "";
  const { bars } = await json(`/api/stocks/${symbol}/bars`);
  if (symbol !== chosen) return;
  const low = Math.min(...bars.map((bar) => bar.low));
  const high = Math.max(...bars.map((bar) => bar.high));
  const y = (price) => 110 - ((price - low) / (high - low)) * 100;
  const step = 280 / bars.length;
  const shapes = bars.flatMap((bar, place) => {
    const way = bar.close >= bar.open ? "up" : "down";
    const x = 10 + place * step;
    const top = y(Math.max(bar.open, bar.close));
    const height = Math.max(1, Math.abs(y(bar.open) - y(bar.close)));
    return [
      drawn("rect", { class: way, x: x + step / 2 - 0.5, y: y(bar.high), width: 1, height: y(bar.low) - y(bar.high) }),
      drawn("rect", { class: way, x: x + 1, y: top, width: step - 2, height }),
    ];
  });
  $("bars").replaceChildren(...shapes, drawn("text", { x: 10, y: 9 }, high.toFixed(2)), drawn("text", { x: 10, y: 119 }, low.toFixed(2)));
}

const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
function ticked(stock) {
  if (stock.gap) return load();
  priced(stock);
  if (!isCalm.matches) rows.get(stock.symbol).price.animate({ color: ["var(--accent)", "var(--text)"] }, 1000);
}

async function load() {
  for (const stock of await json("/api/stocks")) priced(stock);
}

await load();
choose(chosen);
// What may have come while there was no connection; a tick that comes meanwhile is as new.
listen("/api/stock-updates", "stock-update", ticked, load);

$("buy").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const quantity = Number($("quantity").value);
    const order = await post(`/api/stocks/${chosen}/orders`, { quantity, key: crypto.randomUUID() });
    const text = `#${order.id}: ${order.quantity} ${order.symbol} at ${order.price.toFixed(2)}`;
    $("orders").prepend(element("li", {}, timeOf(Date.now() / 1000), text));
  } catch (error) {
    $("orders").prepend(element("li", { class: "down" }, error.message));
  }
});

// Alerts are a stream of the service, over a WebSocket.
const client = connect();
let watching = null;
$("alert").addEventListener("submit", async (event) => {
  event.preventDefault();
  watching?.abort();
  watching = new AbortController();
  const { signal } = watching;
  const symbol = chosen;
  const limit = Number($("limit").value);
  append($("alerts"), element("li", {}, `watching ${symbol} at ${limit.toFixed(2)}`));
  try {
    for await (const alert of client.stream("market.Market/WatchAlerts", { symbol, limit }, { signal })) {
      const text = `${alert.symbol} crossed ${limit.toFixed(2)}: ${alert.price.toFixed(2)}`;
      append($("alerts"), element("li", {}, timeOf(Date.now() / 1000), text));
    }
  } catch (error) {
    if (!signal.aborted) append($("alerts"), element("li", { class: "down" }, error.message));
  }
});
