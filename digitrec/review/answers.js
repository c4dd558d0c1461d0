"use strict";
// A person's answers to the items of a page: given, taken back, undone, kept, saved and exported.
// An answer is [label, seconds since 1970]; the label OPEN marks an item that is not as it was read.

const OPEN = "?";
const COLUMNS = [
  "path", "label", "group", "model", "predicted", "confidence", "reviewer", "time", "part", "row",
  "number", "digest", "page", "result", "sample",
];

class Answers {
  constructor(data) {
    this.data = data;
    this.reviewer = "";
    this.given = new Map(); // index of an item → its answer
    this.steps = []; // what to restore, and where one was: {before: [[index, answer]], place}
    this.settled = 0;
    this.isKept = true; // whether the browser keeps them
  }

  get key() {
    return `digitrec-review:${this.data.page}`;
  }

  label(k) {
    const answer = this.given.get(k);
    return answer ? answer[0] : "";
  }

  isSettled(k) {
    const label = this.label(k);
    return label !== "" && label !== OPEN;
  }

  // Give several items their labels, in one step; an empty label takes the answer back.
  give(labels, place) {
    const time = Math.floor(Date.now() / 1000);
    const before = labels.map(([k]) => [k, this.given.get(k)]);
    for (const [k, label] of labels) this.set(k, label === "" ? undefined : [label, time]);
    this.steps.push({ before, place });
    this.keep();
  }

  set(k, answer) {
    this.settled -= this.isSettled(k);
    if (answer) this.given.set(k, answer);
    else this.given.delete(k);
    this.settled += this.isSettled(k);
  }

  // Undo the last step; give the place where it was done, or null.
  undo() {
    const step = this.steps.pop();
    if (!step) return null;
    for (const [k, answer] of step.before) this.set(k, answer);
    this.keep();
    return step.place;
  }

  // Who reviewed here last, if the browser knows.
  lastReviewer() {
    try {
      return localStorage.getItem(this.key) || "";
    } catch {
      return "";
    }
  }

  // Take what the browser has of this person's answers.
  begin(reviewer) {
    this.reviewer = reviewer;
    this.steps = [];
    let kept = {};
    try {
      localStorage.setItem(this.key, reviewer);
      kept = JSON.parse(localStorage.getItem(`${this.key}:${reviewer}`) || "{}");
    } catch {
      this.isKept = false;
    }
    this.given.clear();
    this.settled = 0;
    for (const [k, answer] of Object.entries(kept)) this.take(Number(k), answer);
  }

  // Take an answer from elsewhere, if it is one.
  take(k, answer) {
    const isOne = this.data.items[k] && Array.isArray(answer) && Number.isFinite(answer[1])
      && (answer[0] === OPEN || this.data.labels.includes(answer[0]));
    if (isOne) this.set(k, [answer[0], answer[1]]);
    return Boolean(isOne);
  }

  keep() {
    if (!this.reviewer) return;
    try {
      const content = JSON.stringify(Object.fromEntries(this.given));
      localStorage.setItem(`${this.key}:${this.reviewer}`, content);
    } catch {
      this.isKept = false;
    }
  }

  // Every settled item as a row of the export: an object with COLUMNS.
  rows() {
    const { origin, page, items } = this.data;
    const settled = [...this.given].filter(([k]) => this.isSettled(k)).sort(([a], [b]) => a - b);
    return settled.map(([k, [label, time]]) => {
      const { path, predicted, confidence, part, row, number, digest } = items[k];
      return {
        path, label, group: "", model: origin.model, predicted, confidence,
        reviewer: this.reviewer, time: isoTime(time), part, row, number, digest, page,
        result: origin.result, sample: origin.sample,
      };
    });
  }

  csv() {
    const lines = this.rows().map((row) => COLUMNS.map((name) => csvCell(row[name])).join(","));
    return [COLUMNS.join(","), ...lines, ""].join("\r\n");
  }

  // What is saved to a file: the export's rows, and what is only marked.
  progress() {
    const open = [...this.given].filter(([, [label]]) => label === OPEN).map(([k]) => k);
    const { version, page } = this.data;
    const { reviewer } = this;
    return JSON.stringify({ digitrec: "review", version, page, reviewer, open, answers: this.rows() });
  }

  // Take what `progress` wrote; give how many answers, or -1 if it is of another page.
  load(text) {
    let saved;
    try {
      saved = JSON.parse(text);
    } catch {
      return -1;
    }
    if (!saved || saved.page !== this.data.page || !Array.isArray(saved.answers)) return -1;
    if (typeof saved.reviewer === "string" && saved.reviewer) this.begin(saved.reviewer);
    const places = new Map(this.data.items.map(({ part, row }, k) => [`${part}:${row}`, k]));
    let count = 0;
    for (const one of saved.answers) {
      const k = one && places.get(`${one.part}:${one.row}`);
      const time = one && Date.parse(one.time) / 1000;
      if (k !== undefined && !this.isNewer(k, time)) count += this.take(k, [one.label, time]);
    }
    for (const k of Array.isArray(saved.open) ? saved.open : []) {
      if (!this.label(k)) this.take(k, [OPEN, 0]);
    }
    this.keep();
    return count;
  }

  isNewer(k, time) {
    return this.isSettled(k) && this.given.get(k)[1] > time;
  }
}

function isoTime(seconds) {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}+00:00`;
}

function csvCell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",;\t\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
