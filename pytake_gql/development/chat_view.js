// What is seen: every text goes in as text, and nothing here knows the service.

import { here } from "./chat_service.js";
import { language, texts } from "./chat_texts.js";

export const part = (id) => document.getElementById(id);

const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });

/** An element with a class and a text. */
function made(tag, className, text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

/** What stands for the files of a message that has no text. */
export const named = ({ attachments }) => attachments.map(({ fileName }) => `📎 ${fileName}`).join("\n");

export function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = texts[element.dataset.text];
  for (const element of document.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", texts[element.dataset.label]);
  for (const element of document.querySelectorAll("[data-placeholder]"))
    element.placeholder = texts[element.dataset.placeholder];
  for (let count = 1; count <= 5; count += 1) {
    const label = made("label");
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "rating", value: String(count), required: true });
    radio.setAttribute("aria-label", texts.star(count));
    label.append(radio, made("span", "", `${count} ★`));
    part("stars").append(label);
  }
}

/** The channel's title, greeting and colour; the text upon it is black or white, whichever is easier to read. */
export function decorate({ title, greeting, color }) {
  part("title").textContent = document.title = title || "Chat";
  part("greeting").textContent = greeting ?? "";
  part("greeting").hidden = !greeting;
  if (!/^#[0-9a-f]{6}$/i.test(color ?? "")) return;
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const share = parseInt(color.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const isLight = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
  document.documentElement.style.setProperty("--brand", color);
  document.documentElement.style.setProperty("--on-brand", isLight ? "#000" : "#fff");
}

export function showBanner(text) {
  part("banner").textContent = text;
  part("banner").hidden = !text;
}

export function showTyping(text) {
  part("typing").textContent = text;
}

/** Where the chat stands, in the head; and the form to rate it, once it is closed. */
export function showChat(chat) {
  const isClosed = chat?.status === "CLOSED";
  part("rating").hidden = !isClosed || chat.rating !== null;
  const text = standing(chat, isClosed);
  if (part("status").textContent !== text) part("status").textContent = text;
}

function standing(chat, isClosed) {
  if (!chat) return texts.ready;
  if (isClosed) return chat.rating ? texts.rated(chat.rating) : texts.closed;
  if (chat.agentName) return texts.active(chat.agentName);
  const wait = chat.estimatedWaitSeconds ? `, ${texts.minutes(Math.ceil(chat.estimatedWaitSeconds / 60))}` : "";
  return chat.queuePosition ? texts.position(chat.queuePosition) + wait : texts.waiting;
}

/** The bubbles, in order of seq; those that are still on their way stand last. */
export class Bubbles {
  constructor(choose) {
    this.choose = choose;
    this.list = part("messages");
    this.byId = new Map();
    new ResizeObserver(() => this.#scroll()).observe(part("log"));
  }

  clear() {
    this.byId.clear();
    this.list.replaceChildren();
  }

  /** One that was not sent yet. */
  draft(text) {
    const element = this.#made(true, text);
    element.classList.add("pending");
    element.querySelector(".note").textContent = texts.sending;
    this.list.append(element);
    this.#scroll();
    return element;
  }

  fail(element, reason) {
    element.classList.add("failed");
    element.classList.remove("pending");
    element.querySelector(".note").textContent = texts.failed(reason);
  }

  /** A stored message, new or changed; `draft` is the bubble that it was drawn as before. */
  show(message, draft = null) {
    const known = this.byId.get(message.id);
    if (known) {
      if (draft && draft !== known) draft.remove();
      return;
    }
    const element = draft ?? this.#made(message.isFromVisitor, message.text ?? "");
    element.classList.remove("pending", "failed");
    element.dataset.seq = message.seq;
    this.byId.set(message.id, element);
    this.#sign(element, message);
    if (message.attachments.length) this.#link(element, message);
    if (message.options.length) element.append(this.#options(message.options));
    const later = [...this.list.children].find(
      (other) => other !== element && Number(other.dataset.seq ?? Infinity) > message.seq,
    );
    if (!draft || later) this.list.insertBefore(element, later ?? null);
    this.#scroll();
  }

  #made(isMine, text) {
    const element = made("li", isMine ? "message mine" : "message");
    element.append(made("p", "bubble", text), made("p", "note"));
    return element;
  }

  #sign(element, message) {
    const who = message.isFromVisitor ? texts.you : message.authorName || texts.agent;
    const time = made("time", "", clock.format(new Date(message.createdAt)));
    time.dateTime = message.createdAt;
    element.querySelector(".note").replaceChildren(`${who} · `, time);
    if (message.isFromVisitor) element.querySelector(".note").append(` · ${texts.sent}`);
  }

  /** The files as links, below the text if there is one. */
  #link(element, { text, attachments }) {
    const links = attachments.map((file) => {
      const link = made("a", "", named({ attachments: [file] }));
      link.href = here(file.url);
      link.download = file.fileName ?? "";
      return link;
    });
    const between = links.flatMap((link) => ["\n", link]);
    element.querySelector(".bubble").replaceChildren(...(text ? [text, ...between] : between.slice(1)));
  }

  #options(options) {
    const offered = made("div", "options");
    for (const { value, title } of options) {
      const button = made("button", "", title);
      button.type = "button";
      button.onclick = () => this.choose(value, title);
      offered.append(button);
    }
    return offered;
  }

  #scroll() {
    part("log").scrollTop = part("log").scrollHeight;
  }
}
