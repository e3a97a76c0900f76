// A visit: begins or goes on, writes, follows, reads, rates.

import { ask, pauseBefore, Refused, Updates, upload } from "./chat_service.js";
import { texts } from "./chat_texts.js";
import { Bubbles, decorate, named, part, showBanner, showChat, showTyping, translate } from "./chat_view.js";

const MESSAGE = "id seq text isFromVisitor authorName createdAt options { value title } attachments { url fileName }";
const CHAT = "id status agentName rating queuePosition estimatedWaitSeconds";
const PROBLEMS = "userErrors { code message }";
const START = `mutation ($input: StartVisitInput!) { startVisit(input: $input) {
  visit { visitorToken settings chat { id } } ${PROBLEMS} } }`;
const LOAD = `{ visitorChat { ${CHAT} lastSeq messages(last: 100) { nodes { ${MESSAGE} } } } }`;
const LOOK = `{ visitorChat { ${CHAT} } }`;
const WRITE = `mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) {
  message { ${MESSAGE} } chat { ${CHAT} } ${PROBLEMS} } }`;
const TYPE = "mutation ($input: SetVisitorTypingInput!) { setVisitorTyping(input: $input) { userErrors { code } } }";
const READ = "mutation ($input: MarkVisitorReadInput!) { markVisitorRead(input: $input) { userErrors { code } } }";
const RATE = `mutation ($input: RateVisitInput!) { rateVisit(input: $input) { chat { ${CHAT} } ${PROBLEMS} } }`;
const UPDATES = `subscription ($after: Int) { visitorUpdates(after: $after) { __typename
  ... on VisitorMessageChanged { message { ${MESSAGE} } }
  ... on VisitorChatChanged { chat { ${CHAT} } }
  ... on VisitorTypingChanged { isAgentTyping } } }`;

const LOOK_EVERY = 10_000;
const TYPING_EVERY = 3_000;
const TYPING_ENDS = 6_000;

const channelId = new URLSearchParams(location.search).get("channel");
const kept = `pytake visitor ${channelId}`;

let token = null;
let chat = null;
let seq = 0; // up to here everything has been seen
let readSeq = 0;
let updates = null;
const outbox = [];
let isSending = false;
const bubbles = new Bubbles((option, title) => post({ option }, title));

const call = (document, input) => ask(token, document, input ? { input } : {});

// ------------------------------------------------------------------------------- beginning, going on

async function begin(introduction, attempt = 0) {
  try {
    const { visit } = await ask(null, START, { input: { channelId, ...introduction } });
    token = visit.visitorToken;
    localStorage.setItem(kept, token);
    decorate(visit.settings);
    await load();
  } catch (error) {
    if (error instanceof Refused) refuse(error);
    else {
      showBanner(texts.offline);
      setTimeout(() => begin(token ? { visitorToken: token } : introduction, attempt + 1), pauseBefore(attempt));
    }
    return;
  }
  showBanner("");
  part("welcome").hidden = true;
  part("talk").hidden = part("restart").hidden = false;
  part("text").focus();
  updates?.stop();
  updates = new Updates(token, UPDATES, { resumeAfter, hear, tell });
}

function refuse(error) {
  if (error.code === "EXPIRED") forget();
  else showBanner(error.message);
  part("welcome").hidden = false;
}

/** The chat as it is stored now. lastSeq was read before the messages: what comes after it is told live. */
async function load() {
  const stored = await call(LOAD);
  follow(stored);
  seq = stored?.lastSeq ?? 0;
  for (const message of stored?.messages.nodes ?? []) keep(message);
}

/** A seq counts inside one chat: another one is read from its beginning. */
async function resumeAfter() {
  follow(await call(LOOK));
  return seq;
}

function follow(now) {
  if (now?.id !== chat?.id) {
    bubbles.clear();
    seq = readSeq = 0;
    for (const { element } of outbox) bubbles.list.append(element);
  }
  chat = now;
  showChat(chat);
}

function forget() {
  localStorage.removeItem(kept);
  token = null;
}

// ------------------------------------------------------------------------------------------ following

function hear(update) {
  if (update.__typename === "VisitorChatChanged") follow(update.chat);
  else if (update.__typename === "VisitorMessageChanged") keep(update.message);
  else agentTypes(update.isAgentTyping);
}

function keep(message) {
  const own = message.isFromVisitor && !bubbles.byId.has(message.id);
  const draft = own ? outbox.find((item) => item.said === (message.text ?? named(message)) && item.element.isConnected) : null;
  bubbles.show(message, draft?.element);
  seq = Math.max(seq, message.seq);
  if (!message.isFromVisitor) agentTypes(false);
  read();
}

function tell(state) {
  showBanner(state === "offline" ? texts.offline : state === "ended" ? texts.ended : "");
  if (state === "expired") {
    forget();
    location.reload();
  } else if (state === "online") deliver();
}

let typingTimer = null;

function agentTypes(isTyping) {
  clearTimeout(typingTimer);
  showTyping(isTyping ? texts.typing(chat?.agentName || texts.agent) : "");
  if (isTyping) typingTimer = setTimeout(() => agentTypes(false), TYPING_ENDS);
}

/** Other people's moves change the place in the queue: nobody tells. */
async function look() {
  if (chat?.status !== "QUEUED" || document.hidden) return;
  try {
    follow(await call(LOOK));
  } catch {
    // the subscription says that there is no connection
  }
}

async function read() {
  const shown = [...bubbles.list.children].filter((element) => !element.classList.contains("mine"));
  const newest = Number(shown.at(-1)?.dataset.seq ?? 0);
  if (document.hidden || newest <= readSeq) return;
  readSeq = newest;
  try {
    await call(READ, { seq: newest });
  } catch {
    readSeq = 0; // told again with the next message
  }
}

// -------------------------------------------------------------------------------------------- writing

function post(input, said, file = null) {
  const idempotencyKey = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  outbox.push({ input: { ...input, idempotencyKey }, said, file, element: bubbles.draft(said) });
  deliver();
}

/** One after the other, in order; what nobody answered is sent again with its key. */
async function deliver(attempt = 0) {
  if (isSending || !outbox.length) return;
  isSending = true;
  const [{ input, file, element }] = outbox;
  let pause = null;
  try {
    if (file) input.attachmentIds ??= [await upload(token, file)];
    const { message, chat: now } = await call(WRITE, input);
    follow(now);
    bubbles.show(message, element);
    outbox.shift();
  } catch (error) {
    if (!(error instanceof Refused)) pause = pauseBefore(attempt);
    else if (error.code === "RATE_LIMITED") pause = error.retryAfterSeconds * 1000;
    else bubbles.fail(outbox.shift().element, error.message);
  }
  isSending = false;
  if (pause === null) deliver();
  else setTimeout(() => deliver(attempt + 1), pause);
}

let toldTypingAt = 0;
let pauseTimer = null;

function types(isTyping) {
  clearTimeout(pauseTimer);
  if (isTyping) pauseTimer = setTimeout(() => types(false), TYPING_EVERY);
  const isNews = isTyping ? Date.now() - toldTypingAt > TYPING_EVERY : toldTypingAt > 0;
  if (!isNews || !chat || chat.status === "CLOSED") return;
  toldTypingAt = isTyping ? Date.now() : 0;
  call(TYPE, { isTyping }).catch(() => {}); // a courtesy: nothing is lost
}

// --------------------------------------------------------------------------------------------- forms

part("welcome").onsubmit = (event) => {
  event.preventDefault();
  begin({ name: part("name").value.trim() || null });
};

part("composer").onsubmit = (event) => {
  event.preventDefault();
  const text = part("text").value;
  if (!text.trim()) return;
  part("text").value = "";
  types(false);
  post({ text }, text);
};

part("text").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  part("composer").requestSubmit();
};
part("text").oninput = () => types(true);

part("attach").onclick = () => part("file").click();
part("file").onchange = () => {
  for (const file of part("file").files) post({}, named({ attachments: [{ fileName: file.name }] }), file);
  part("file").value = "";
};

part("rating").onsubmit = async (event) => {
  event.preventDefault();
  const rating = Number(new FormData(part("rating")).get("rating"));
  try {
    follow((await call(RATE, { rating, comment: part("comment").value.trim() || null })).chat);
    part("rating").reset();
    part("text").focus();
  } catch (error) {
    showBanner(error instanceof Refused ? error.message : texts.offline);
  }
};

part("restart").onclick = () => {
  forget();
  location.reload();
};

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  look();
  read();
});
setInterval(look, LOOK_EVERY);

// --------------------------------------------------------------------------------------------- start

translate();
if (!channelId) showBanner(texts.noChannel);
else if (localStorage.getItem(kept)) begin({ visitorToken: localStorage.getItem(kept) });
else part("welcome").hidden = false;
