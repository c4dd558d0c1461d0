"use strict";
// The page: shows one sheet at a time, and takes what is clicked and typed. Only what is to be seen
// is in the document, however many items there are.

const data = JSON.parse(document.getElementById("data").textContent);
const answers = new Answers(data);
const isSample = data.kind === "sample";
const $ = (id) => document.getElementById(id);
let sheet = 0; // which of data.sheets is shown
let cursor = 0; // which of its items is selected
let isWarned = false; // that marked items have no answer yet
let language = data.language || (navigator.language.startsWith("zh") ? "zh" : "en");

// Words

function word(key, values = {}) {
  return data.words[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function shownLabel(label) {
  return /^\d$/.test(label) || label === OPEN ? label : word(label);
}

function percent(share) {
  return share > 0.9995 && share < 1 ? "> 99.9 %" : `${(100 * share).toFixed(1)} %`;
}

function inWords(text, known) {
  return Object.entries(known).reduce((so, [from, to]) => so.replaceAll(from, to), text);
}

function say(key, values) {
  $("said").textContent = key ? word(key, values) : "";
}

// Elements

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function button(attributes, ...children) {
  return element("button", { type: "button", ...attributes }, ...children);
}

const current = () => data.sheets[sheet];
const currentItem = () => current().items[cursor];

// A sheet whose rest can be confirmed at once.
const isGroup = (which = current()) => !isSample && which.predicted !== "";

function isDone(which) {
  return which.items.every((k) => answers.isSettled(k));
}

function showFrame() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = word(isSample ? "title_sample" : "title");
  $("title").textContent = document.title;
  const { result, sample } = data.origin;
  const name = (sample || result).replace(/\/+$/, "").split("/").pop();
  $("about").textContent = word("about", { n: data.items.length.toLocaleString("en"), result: name });
  $("about").title = result;
  $("language").textContent = word("other");
  $("language").lang = language === "zh" ? "en" : "zh-CN";
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = word(one.dataset.word);
  for (const one of document.querySelectorAll("[data-label]")) {
    one.setAttribute("aria-label", word(one.dataset.label));
  }
  $("keys").replaceChildren(...data.words[language].key_list.flatMap(([keys, what]) => [
    element("dt", {}, element("kbd", {}, keys)), element("dd", {}, what),
  ]));
  $("pad").replaceChildren(
    ...data.labels.map((label) => button(
      { "data-answer": label, class: label.length > 1 ? "wide" : "" }, shownLabel(label),
    )),
    button({ id: "clear", class: "wide quiet" }, word("clear")),
    button({ id: "undo", class: "wide quiet" }, word("undo")),
  );
}

function showProgress() {
  const values = { done: answers.settled.toLocaleString("en"), all: data.items.length.toLocaleString("en") };
  $("count").textContent = word("settled", values);
  $("bar").max = data.items.length || 1;
  $("bar").value = answers.settled;
  $("who").textContent = word("who", { name: answers.reviewer });
  showSheetList();
}

// One button for each digit that was read, however many sheets it has.
function showSheetList() {
  const digits = [...new Set(data.sheets.map(({ predicted }) => predicted))];
  $("sheets").replaceChildren(...digits.map((digit) => {
    const some = data.sheets.filter(({ predicted }) => predicted === digit).flatMap(({ items }) => items);
    const done = some.filter((k) => answers.isSettled(k)).length;
    const chip = button(
      { "data-digit": digit, class: done === some.length ? "chip complete" : "chip" },
      element("b", {}, digit || word(isSample ? "sample" : "nothing_read")),
      element("span", {}, `${done} / ${some.length}`),
    );
    if (digit === current().predicted) chip.setAttribute("aria-current", "true");
    return chip;
  }));
}

function showSheet() {
  const { predicted, items } = current();
  const same = data.sheets.filter((one) => one.predicted === predicted);
  const read = predicted === "" ? word("nothing_read") : word("read_as", { digit: predicted });
  $("heading").textContent = isSample ? word("sample") : read;
  $("which").textContent = word("sheet_of", { k: same.indexOf(current()) + 1, n: same.length });
  $("hint").textContent = word(isSample ? "hint_sample" : isGroup() ? "hint" : "hint_none");
  $("done-word").textContent = word(isGroup() ? "done" : "done_single");
  $("previous").disabled = sheet === 0;
  $("next").disabled = sheet === data.sheets.length - 1;
  $("grid").replaceChildren(...items.map((k, place) => button(
    { role: "option", tabindex: "-1", "data-place": place },
    element("img", { src: data.items[k].image, alt: "", draggable: "false" }), element("span"),
  )));
  items.forEach((_, place) => showCell(place));
}

function showCell(place) {
  const cell = $("grid").children[place];
  const k = current().items[place];
  const label = answers.label(k);
  const item = data.items[k];
  const asRead = label !== "" && label === item.predicted;
  const kind = label === "" ? "" : label === OPEN ? "open" : asRead || isSample ? "right" : "wrong";
  const isLong = label.length > 1 && !asRead;
  cell.className = [kind, isLong ? "long" : "", place === cursor ? "current" : ""].join(" ");
  cell.tabIndex = place === cursor ? 0 : -1;
  const short = data.words[language].short[label] ?? (label && shownLabel(label));
  cell.lastChild.textContent = asRead ? "✓" : short;
  cell.setAttribute("aria-selected", String(label !== "" && !asRead));
  const parts = [word("scan", { k: place + 1, n: current().items.length })];
  if (item.predicted) {
    parts.push(word("read", { digit: item.predicted, percent: percent(item.confidence) }));
  }
  parts.push(stateWords(label));
  cell.setAttribute("aria-label", parts.join(", "));
}

function stateWords(label) {
  if (label === "") return word("no_answer");
  return label === OPEN ? word("marked") : word("answer", { label: shownLabel(label) });
}

function showDetail() {
  const item = data.items[currentItem()];
  const label = answers.label(currentItem());
  $("large").src = item.image;
  $("large").alt = word("selected");
  $("state").textContent = stateWords(label);
  $("state").className = answers.isSettled(currentItem()) ? "settled" : "";
  const guesses = item.predicted ? [[item.predicted, item.confidence], ...item.alternatives] : item.alternatives;
  $("guesses-part").hidden = guesses.length === 0;
  $("guesses").replaceChildren(...guesses.map(([digit, share]) => button(
    { "data-answer": digit, "aria-pressed": String(digit === label) },
    element("b", {}, digit), element("span", {}, percent(share)),
  )));
  for (const one of $("pad").querySelectorAll("[data-answer]")) {
    one.setAttribute("aria-pressed", String(one.dataset.answer === label));
  }
  const { reasons, odd } = data.words[language];
  const facts = [
    ["number", item.number], ["why", inWords(item.reason, reasons)], ["notes", inWords(item.notes, odd)],
    ["size", word("pixels", { w: item.width, h: item.height })], ["path", item.path],
  ].filter(([, value]) => value);
  $("facts").replaceChildren(...facts.flatMap(([key, value]) => [
    element("dt", {}, word(key)), element("dd", { class: key }, String(value)),
  ]));
}

function show() {
  showFrame();
  showProgress();
  showSheet();
  showDetail();
}

// Moving

function select(place, { focus = true } = {}) {
  const before = cursor;
  cursor = Math.max(0, Math.min(place, current().items.length - 1));
  if ($("grid").children[before]) showCell(before);
  showCell(cursor);
  showDetail();
  if (focus) $("grid").children[cursor].focus({ preventScroll: false });
}

function goTo(which, place = 0) {
  if (which < 0 || which >= data.sheets.length) return;
  [sheet, cursor, isWarned] = [which, place, false];
  showSheetList();
  showSheet();
  select(place);
}

function columns() {
  const cells = [...$("grid").children];
  const second = cells.findIndex((cell) => cell.offsetTop > cells[0].offsetTop);
  return second < 0 ? cells.length : second;
}

function firstUnsettled(which, from = 0) {
  return which.items.findIndex((k, place) => place >= from && !answers.isSettled(k));
}

// The next sheet that has something open, this one last; -1 where none has.
function nextOpen() {
  const count = data.sheets.length;
  const order = data.sheets.map((_, k) => (sheet + 1 + k) % count);
  return order.find((k) => !isDone(data.sheets[k])) ?? -1;
}

// Answering

function answer(label) {
  answers.give([[currentItem(), label]], [sheet, cursor]);
  isWarned = false;
  say("");
  showProgress();
  warnOfStore();
  if (label === "" || label === OPEN) select(cursor);
  else if (cursor + 1 < current().items.length) select(cursor + 1);
  else if (isGroup()) select(cursor);
  else goOn();
}

// To what is open: on this sheet, else on the next.
function goOn() {
  const place = [firstUnsettled(current(), cursor + 1), firstUnsettled(current())].find((k) => k >= 0);
  if (place !== undefined) return select(place);
  const which = nextOpen();
  if (which < 0) return finished();
  return goTo(which, firstUnsettled(data.sheets[which]));
}

function finished() {
  select(cursor, { focus: false });
  say("said_all");
  $("export").focus();
}

// The sheet is right but for what is marked.
function done() {
  if (!isGroup()) return goOn();
  const open = current().items.filter((k) => answers.label(k) === OPEN);
  if (open.length > 0 && !isWarned) {
    select(current().items.indexOf(open[0]));
    isWarned = true;
    return say("said_open", { n: open.length });
  }
  const rest = current().items.filter((k) => answers.label(k) === "");
  if (rest.length > 0) {
    answers.give(rest.map((k) => [k, current().predicted]), [sheet, cursor]);
    warnOfStore();
  }
  showProgress();
  return afterSheet(rest.length);
}

function afterSheet(confirmed) {
  current().items.forEach((_, place) => showCell(place));
  if (answers.settled === data.items.length) return finished();
  const later = data.sheets.findIndex((one, k) => k > sheet && !isDone(one));
  if (later >= 0) {
    goTo(later);
    return say("said_sheet", { n: confirmed });
  }
  const open = data.items.length - answers.settled;
  goTo(nextOpen());
  return say("said_end", { n: open });
}

function undo() {
  const place = answers.undo();
  if (place === null) return say("said_nothing");
  showProgress();
  goTo(...place);
  return say("said_undo");
}

function pick(place) {
  select(place);
  const label = answers.label(currentItem());
  if (!isGroup()) return;
  if (label === "" || label === current().predicted) answer(OPEN);
  else if (label === OPEN) answer("");
}

function warnOfStore() {
  if (!answers.isKept) say("said_no_store");
}

// Files

function download(content, kind, ending) {
  const who = answers.reviewer.replace(/[^\p{L}\p{N}]+/gu, "-");
  const file = `review-${data.page}-${who}.${ending}`;
  const address = URL.createObjectURL(new Blob([content], { type: kind }));
  const link = element("a", { href: address, download: file });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
  return file;
}

function exportCsv() {
  if (answers.settled === 0) return say("said_none");
  const file = download(answers.csv(), "text/csv;charset=utf-8", "csv");
  return say("said_export", { n: answers.settled, file });
}

async function loadProgress() {
  const [file] = $("file").files;
  if (!file) return;
  const count = answers.load(await file.text());
  $("file").value = "";
  if (count >= 0) start();
  say(count < 0 ? "said_other" : "said_loaded", { n: count });
}

// Who

function ask() {
  $("name").value = answers.reviewer;
  $("ask").showModal();
  $("name").select();
}

function begin(event) {
  event.preventDefault();
  const name = $("name").value.trim();
  if (!name) return $("name").focus();
  $("ask").close();
  answers.begin(name);
  return start();
}

// Begin where something is open.
function start() {
  [sheet, cursor] = [data.sheets.length - 1, 0];
  sheet = Math.max(nextOpen(), 0);
  show();
  const place = isGroup() ? 0 : firstUnsettled(current());
  select(Math.max(place, 0));
  warnOfStore();
}

// Keys

const MOVES = {
  ArrowLeft: () => select(cursor - 1),
  ArrowRight: () => select(cursor + 1),
  ArrowUp: () => cursor >= columns() && select(cursor - columns()),
  ArrowDown: () => cursor + columns() < current().items.length && select(cursor + columns()),
  Home: () => select(0),
  End: () => select(current().items.length - 1),
  PageUp: () => goTo(sheet - 1),
  PageDown: () => goTo(sheet + 1),
  Backspace: () => answer(""),
  Delete: () => answer(""),
  b: () => answer("blank"),
  n: () => answer("not-a-digit"),
  x: () => answer("not-a-digit"),
  u: undo,
};

function action(event) {
  const { key, target } = event;
  const isElsewhere = target.closest("button, summary") && !target.closest("#grid");
  if (key === "Enter" || key === " ") {
    if (isElsewhere) return null; // it presses that
    return key === " " ? MOVES.b : done;
  }
  if (/^\d$/.test(key)) return () => answer(key);
  return MOVES[key.length === 1 ? key.toLowerCase() : key] ?? null;
}

function onKey(event) {
  if ($("ask").open || event.altKey || event.isComposing) return;
  const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  if ((event.ctrlKey || event.metaKey) && !isUndo) return;
  const act = isUndo ? undo : action(event);
  if (!act) return;
  event.preventDefault();
  act();
}

// Clicks

function onClick(event) {
  const pressed = event.target.closest("button");
  if (!pressed) return;
  if (pressed.dataset.place !== undefined) pick(Number(pressed.dataset.place));
  else if (pressed.dataset.answer !== undefined) answer(pressed.dataset.answer);
  else if (pressed.dataset.digit !== undefined) goToDigit(pressed.dataset.digit);
  else if (PRESSED[pressed.id]) PRESSED[pressed.id]();
}

function goToDigit(digit) {
  const some = data.sheets.map((one, k) => [one, k]).filter(([one]) => one.predicted === digit);
  goTo((some.find(([one]) => !isDone(one)) ?? some[0])[1]);
}

const PRESSED = {
  who: ask,
  language: () => {
    language = language === "zh" ? "en" : "zh";
    show();
    say("");
  },
  load: () => $("file").click(),
  save: () => say("said_saved", { file: download(answers.progress(), "application/json", "json") }),
  export: exportCsv,
  previous: () => goTo(sheet - 1),
  next: () => goTo(sheet + 1),
  done,
  clear: () => answer(""),
  undo,
};

document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
$("file").addEventListener("change", loadProgress);
$("ask-form").addEventListener("submit", begin);
$("ask").addEventListener("cancel", (event) => answers.reviewer || event.preventDefault());
// Another window with this page went on.
window.addEventListener("storage", (event) => {
  if (event.key === `${answers.key}:${answers.reviewer}`) {
    answers.begin(answers.reviewer);
    show();
  }
});
answers.begin(answers.lastReviewer());
start();
if (!answers.reviewer) ask();
