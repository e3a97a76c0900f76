// The public door, as any site's page may use it: GraphQL over HTTP, and one subscription that resumes.

import { language } from "./chat_texts.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
const PING_EVERY = 20_000;
const SILENCE = 45_000;
const TOKEN_REFUSED = 4403;
const SESSION_ENDED = 4401;

/** The service understood, and said no. */
export class Refused extends Error {
  constructor(code, message, retryAfterSeconds = null) {
    super(message);
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The value of the document's one root field; throws Refused, or TypeError where nobody answers. */
export async function ask(token, query, variables = {}) {
  const headers = { "content-type": "application/json", "accept-language": language };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  const answer = await response.json();
  const error = answer.errors?.[0];
  if (error) throw new Refused(error.extensions?.code, error.message, error.extensions?.retryAfterSeconds);
  const value = Object.values(answer.data)[0];
  const problem = value?.userErrors?.[0];
  if (problem) throw new Refused(problem.code, problem.message);
  return value;
}

const PREPARE = `mutation ($input: PrepareUploadInput!) { prepareUpload(input: $input) {
  attachmentId uploadUrl headers { name value } userErrors { code message } } }`;

/** A file's address on this very server, whatever name the server has for itself. */
export const here = (url) => new URL(url).pathname;

/** The id of an attachment with the file's bytes; throws like `ask`. */
export async function upload(token, file) {
  const input = { fileName: file.name, mimeType: file.type, sizeBytes: file.size };
  const { attachmentId, uploadUrl, headers } = await ask(token, PREPARE, { input });
  const named = Object.fromEntries(headers.map(({ name, value }) => [name, value]));
  named["accept-language"] = language;
  const response = await fetch(here(uploadUrl), { method: "PUT", headers: named, body: file });
  if (!response.ok) throw new Refused(String(response.status), (await response.json()).error.message);
  return attachmentId;
}

export const pauseBefore = (attempt) =>
  Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt) * (0.5 + Math.random() / 2);

/**
 * Follows the chat until it is stopped, and comes back after every loss.
 *
 * `resumeAfter()` resolves to the seq from which a new connection goes on; `hear(update)` gets each update;
 * `tell(state)` hears "online", "offline", "expired" (begin the visit anew) and "ended".
 */
export class Updates {
  constructor(token, document, { resumeAfter, hear, tell }) {
    Object.assign(this, { token, document, resumeAfter, hear, tell });
    this.attempt = 0;
    this.isStopped = false;
    this.hurry = () => this.socket || this.isStopped || this.#connect();
    addEventListener("online", this.hurry);
    this.#connect();
  }

  stop() {
    this.isStopped = true;
    removeEventListener("online", this.hurry);
    clearTimeout(this.timer);
    this.socket?.close(1000);
  }

  #connect() {
    clearTimeout(this.timer);
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`;
    const socket = new WebSocket(address, "graphql-transport-ws");
    this.socket = socket;
    let heardAt = Date.now();
    const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));
    const watch = setInterval(() => {
      if (Date.now() - heardAt > SILENCE) this.#lost(socket, watch);
      else send({ type: "ping" });
    }, PING_EVERY);
    socket.onopen = () => send({ type: "connection_init", payload: { authorization: `Bearer ${this.token}` } });
    socket.onmessage = ({ data }) => {
      heardAt = Date.now();
      this.#handle(JSON.parse(data), send, socket);
    };
    socket.onclose = ({ code }) => this.#lost(socket, watch, code);
  }

  async #handle(message, send, socket) {
    if (message.type === "ping") send({ type: "pong" });
    else if (message.type === "next" && message.payload.data) this.hear(Object.values(message.payload.data)[0]);
    else if (message.type === "error" || message.type === "complete" || message.type === "next") socket.close(1000);
    else if (message.type === "connection_ack") {
      try {
        const after = await this.resumeAfter();
        send({ id: "1", type: "subscribe", payload: { query: this.document, variables: { after } } });
        this.attempt = 0;
        this.tell("online");
      } catch {
        socket.close(1000);
      }
    }
  }

  #lost(socket, watch, code = 1006) {
    clearInterval(watch);
    socket.onclose = socket.onmessage = null;
    socket.close();
    if (this.socket !== socket || this.isStopped) return;
    this.socket = null;
    if (code === TOKEN_REFUSED || code === SESSION_ENDED) {
      this.stop();
      this.tell(code === TOKEN_REFUSED ? "expired" : "ended");
      return;
    }
    this.tell("offline");
    this.timer = setTimeout(() => this.#connect(), pauseBefore(this.attempt++));
  }
}
