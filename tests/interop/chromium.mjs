// chromium.mjs PAGE FOLDER [HOSTILE]: a report opened from disk in headless Chromium, with the network cut off: nothing is
// asked of the network, nothing lands in the console, every chart has something drawn, both colour schemes, the keyboard,
// filters and the look into one request work. HOSTILE is a report whose model, errors and ids try to run scripts.
// Screenshots go to FOLDER.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.NODE_FOLDER + "/");
const { chromium } = require("playwright-core");
const [page_file, folder, hostile_file] = process.argv.slice(2);
const address = pathToFileURL(page_file).href;
let failed = false;
const check = (name, ok, detail = "") => {
  failed ||= !ok;
  console.log(`${ok ? "PASS" : "FAIL"} report: ${name}${detail ? `: ${detail}` : ""}`);
};

// share of pixels of a canvas that are not the most frequent colour; SVGs count their drawn shapes
const drawn = () => [...document.querySelectorAll("canvas, svg")].filter((e) => e.getBoundingClientRect().width > 80).map((e) => {
  if (e.tagName !== "CANVAS") return { kind: "svg", marks: e.querySelectorAll("path, rect, circle, line, polyline").length };
  const { data } = e.getContext("2d").getImageData(0, 0, e.width, e.height);
  const seen = new Map();
  for (let i = 0; i < data.length; i += 4) {
    const colour = (data[i] << 24) | (data[i + 1] << 16) | (data[i + 2] << 8) | data[i + 3];
    seen.set(colour, (seen.get(colour) ?? 0) + 1);
  }
  return { kind: "canvas", marks: data.length / 4 - Math.max(...seen.values()) };
});

// a browser that keeps to itself: no updates, no accounts, no start page
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

// what the page shows of its selection: requests, first row, text of the filters
const shown = (page) => page.evaluate(() => ({
  said: document.querySelector("#filters output").textContent,
  first: document.querySelector("#requests button.open")?.textContent ?? null,
  failed: document.querySelectorAll("#requests tbody .badge.bad").length,
  rows: document.querySelectorAll("#requests button.open").length,
}));

async function filters(page) {
  const before = await shown(page);
  await page.click('#filters label:has-text("failed")');
  await page.waitForFunction((said) => document.querySelector("#filters output").textContent !== said, before.said);
  const failed = await shown(page);
  check("filters, only failed requests are left", failed.rows > 0 && failed.failed === failed.rows && failed.said !== before.said, failed.said);
  await page.click("#reset");
  await page.waitForFunction((said) => document.querySelector("#filters output").textContent === said, before.said);
  await page.fill("#find", before.first);
  await page.waitForFunction(() => document.querySelectorAll("#requests button.open").length === 1);
  check("filters, a record is found by its line", (await shown(page)).first === before.first, before.first);
  await page.click("#reset");
  await page.waitForFunction((said) => document.querySelector("#filters output").textContent === said, before.said);
  const plot = await (await page.waitForSelector("#time .u-over")).boundingBox();
  await page.evaluate(() => document.getElementById("time").scrollIntoView());
  const over = await (await page.$("#time .u-over")).boundingBox();
  await page.mouse.move(over.x + over.width * 0.3, over.y + over.height / 2);
  await page.mouse.down();
  await page.mouse.move(over.x + over.width * 0.6, over.y + over.height / 2, { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction((said) => document.querySelector("#filters output").textContent !== said, before.said);
  const zoomed = await shown(page);
  check("filters, dragging over time selects it", Boolean(plot) && / to /.test(zoomed.said), zoomed.said);
  await page.click("#reset");
}

async function drillDown(page) {
  const row = await page.$("#requests button.open");
  await row.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#detail[open]");
  const read = () => page.evaluate(() => ({
    title: document.getElementById("detail-title").textContent,
    tracks: document.querySelectorAll("#detail .track").length,
    facts: document.querySelectorAll("#detail dt").length,
  }));
  const one = await read();
  check("detail, opens by keyboard with phases and facts", one.tracks >= 3 && one.facts >= 5, `${one.title}: ${one.tracks} phases, ${one.facts} facts`);
  await page.keyboard.press("ArrowRight");
  const two = await read();
  check("detail, arrow keys move to the next request", two.title !== one.title, two.title);
  await page.screenshot({ path: `${folder}/report-detail.png` });
  await page.keyboard.press("Escape");
  check("detail, Escape closes it", !(await page.$("#detail[open]")));
  await page.focus("#lanes canvas");
  for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "Enter"]) await page.keyboard.press(key);
  check("timeline, arrow keys and Enter open a request", Boolean(await page.waitForSelector("#detail[open]", { timeout: 3000 }).catch(() => null)));
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  check("keyboard, ? lists the keys", Boolean(await page.$("#help[open]")));
  await page.keyboard.press("Escape");
}

async function hostile() {
  const context = await browser.newContext({ offline: true, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("dialog", (dialog) => { said.push(dialog.message()); dialog.dismiss(); });
  await page.goto(pathToFileURL(hostile_file).href, { waitUntil: "load" });
  await page.click('#filters label:has-text("failed")');
  await page.waitForTimeout(400);
  await page.click("#requests button.open");
  await page.waitForTimeout(200);
  const found = await page.evaluate(() => ({
    ran: window.ran === true, elements: document.querySelectorAll("img, iframe, object, embed, main script, dialog script").length,
    visible: document.body.innerText.includes("<img src=x") || document.getElementById("detail").innerText.includes("<img src=x"),
  }));
  check("hostile text is shown as text and does nothing", !found.ran && found.elements === 0 && found.visible && said.length === 0, JSON.stringify({ ...found, said: said.slice(0, 2) }));
  await page.keyboard.press("Escape");
  await page.screenshot({ path: `${folder}/report-hostile.png`, fullPage: true });
  await context.close();
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
for (const scheme of ["light", "dark"]) {
  const context = await browser.newContext({ colorScheme: scheme, offline: true, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const said = [], asked = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("request", (request) => { if (request.url() !== address && !/^(data|blob):/.test(request.url())) asked.push(request.url()); });
  const begin = Date.now();
  await page.goto(address, { waitUntil: "load" });
  await page.waitForTimeout(500);
  const charts = await page.evaluate(drawn);
  const blank = charts.filter((chart) => chart.marks < 10);
  check(`${scheme}, charts are drawn`, charts.length >= 3 && blank.length === 0, `${charts.length} charts, ${blank.length} blank, ${Date.now() - begin} ms`);
  const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 3);
  check(`${scheme}, page follows the scheme`, scheme === "dark" ? background < 100 : background > 155, `mean background ${Math.round(background)}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(`${scheme}, nothing runs off the page`, wide <= 0, `${wide} px`);
  const stops = new Set();
  for (let i = 0; i < 15; i++) {
    await page.keyboard.press("Tab");
    stops.add(await page.evaluate(() => document.activeElement === document.body ? null : document.activeElement.outerHTML.slice(0, 80)));
  }
  stops.delete(null);
  check(`${scheme}, controls are reached by keyboard`, stops.size >= 3, `${stops.size} stops`);
  await page.screenshot({ path: `${folder}/report-${scheme}.png`, fullPage: true });
  if (scheme === "light") {
    await filters(page);
    await drillDown(page);
    const run = await page.$("header label.runs:not([hidden]) select");
    if (run) {
      await page.keyboard.press("]");
      check("runs, ] shows the next one", (await run.evaluate((select) => select.value)) === "1" && (await page.textContent("h1")).length > 0, await page.textContent("h1"));
    }
  }
  check(`${scheme}, console is silent`, said.length === 0, said.slice(0, 3).join(" | "));
  check(`${scheme}, nothing is asked of the network`, asked.length === 0, asked.slice(0, 3).join(" "));
  await context.close();
}
if (hostile_file) await hostile();
await browser.close();
process.exit(failed ? 1 : 0);
