// chromium.mjs PAGE FOLDER: a report opened from disk in headless Chromium, with the network cut off: nothing is asked of
// the network, nothing lands in the console, every chart has something drawn, both colour schemes and the keyboard work.
// Screenshots go to FOLDER.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.NODE_FOLDER + "/");
const { chromium } = require("playwright-core");
const [page_file, folder] = process.argv.slice(2);
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

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
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
  check(`${scheme}, console is silent`, said.length === 0, said.slice(0, 3).join(" | "));
  check(`${scheme}, nothing is asked of the network`, asked.length === 0, asked.slice(0, 3).join(" "));
  await context.close();
}
await browser.close();
process.exit(failed ? 1 : 0);
