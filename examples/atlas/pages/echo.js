import { $, append, element, show } from "./demo.js";

const address = new URL("/echo", location);
address.protocol = address.protocol.replace("http", "ws");
let socket;
let sent = [];
let came = 0;
let began = 0;

function open() {
  show("connecting");
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => enable(true);
  socket.onclose = ({ code }) => {
    enable(false, `closed with ${code}`);
    sent = [];
    setTimeout(open, 1000 + Math.random() * 1000);
  };
  socket.onmessage = ({ data }) => {
    const at = sent.shift();
    came++;
    if (!sent.length || came <= 20) log(typeof data === "string" ? data : hex(data), performance.now() - at);
    if (!sent.length) summarize();
  };
}

function enable(isOpen, text = "connected by websocket") {
  show(isOpen ? "open" : "waiting", text);
  for (const button of $("send").querySelectorAll("button")) button.disabled = !isOpen;
}

function hex(data) {
  return `0x${[...new Uint8Array(data)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function log(text, ms) {
  append($("log"), element("li", {}, element("time", {}, `${ms.toFixed(1)} ms`), text));
}

function summarize() {
  const s = (performance.now() - began) / 1000;
  $("summary").textContent = `${came} came back in ${s.toFixed(3)} s`;
}

function send(message) {
  sent.push(performance.now());
  socket.send(message);
}

function begin() {
  if (!sent.length) [came, began] = [0, performance.now()];
}

$("send").addEventListener("submit", (event) => {
  event.preventDefault();
  begin();
  const text = $("text").value;
  const bytes = /^0x((?:[0-9a-f]{2})+)$/i.exec(text);
  send(bytes ? Uint8Array.from(bytes[1].match(/../g), (pair) => parseInt(pair, 16)) : text);
});

$("burst").addEventListener("click", () => {
  begin();
  for (let number = 1; number <= 1000; number++) send(`${number} of 1000`);
});

open();
