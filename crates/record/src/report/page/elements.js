"use strict";
// Elements of the page. Text only ever becomes text: nothing here parses markup.

function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else if (key === "style") for (const [property, set] of Object.entries(value)) element.style.setProperty(property, set);
    else if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

const SECTIONS = [];

// A section of the page with its entry in the contents. `fill(body)` is called again whenever what it shows changes.
function section(id, title, hint, fill, when = () => true) {
  const body = el("div", { class: "body" });
  const head = el("h2", { id: `${id}-title` }, title);
  const element = el("section", { id, "aria-labelledby": `${id}-title` }, el("div", { class: "head" }, head, hint && el("p", { class: "hint" }, hint)), body);
  SECTIONS.push({ id, title, element, body, fill, when });
  return element;
}

// One choice of a few, as buttons; arrow keys move between them as in any group of radio buttons.
let groups = 0;
function choice(label, options, chosen, choose) {
  const name = `choice-${groups++}`;
  return el("fieldset", { class: "choice" }, el("legend", {}, label), options.map(([value, text]) =>
    el("label", {}, el("input", { type: "radio", name, value, checked: value === chosen, onchange: () => choose(value) }), el("span", {}, text))));
}

function table(header, rows, properties = {}) {
  return el("div", { class: "scroll" }, el("table", properties,
    el("thead", {}, el("tr", {}, header.map((cell, at) => el("th", { scope: "col", class: at ? "n" : "" }, cell)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, at) => {
      const given = cell instanceof Node ? cell : cell ?? "–";
      return at ? el("td", { class: "n" }, given) : el("th", { scope: "row" }, given);
    }))))));
}

const fold = (title, ...inside) => el("details", {}, el("summary", {}, title), ...inside);

function swatch(variable) {
  return el("i", { class: "swatch", style: { background: `var(--${variable})` } });
}

const colour = (variable) => getComputedStyle(document.documentElement).getPropertyValue(`--${variable}`).trim();
const runColour = (number) => `run-${number % 8}`;

// Any JSON as a nested list; what is long or deep is folded.
function tree(value, depth = 0) {
  if (value === null || typeof value !== "object") return el("code", {}, String(value));
  const entries = Object.entries(value);
  if (entries.length === 0) return el("code", {}, Array.isArray(value) ? "[]" : "{}");
  if (Array.isArray(value) && value.every((item) => item === null || typeof item !== "object")) {
    return el("code", {}, value.slice(0, 50).join(", ") + (value.length > 50 ? ` … ${value.length} in all` : ""));
  }
  return el("dl", { class: "tree" }, entries.slice(0, 200).map(([key, inner]) => {
    const plain = inner === null || typeof inner !== "object" || Object.keys(inner).length === 0 || (Array.isArray(inner) && typeof inner[0] !== "object");
    if (plain) return el("div", {}, el("dt", {}, key), el("dd", {}, tree(inner)));
    const size = Object.keys(inner).length;
    return el("details", { open: depth < 1 && size <= 12 }, el("summary", {}, key, el("span", { class: "hint" }, ` ${size}`)), tree(inner, depth + 1));
  }));
}

// A small text beside the pointer.
const tip = document.getElementById("tip");
function showTip(event, lines) {
  tip.replaceChildren(...lines.map((line) => el("div", {}, line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${event.clientY + box.height + 24 > innerHeight ? event.clientY - box.height - 12 : event.clientY + 14}px`;
}
const hideTip = () => { tip.hidden = true; };
