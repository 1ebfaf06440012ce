"use strict";
// Swim lanes: each connection a lane, each request a bar of its phases. A lane with several requests at a time (HTTP/2,
// or files without connections) has sub-lanes.

const LANE = 16, TOP = 24, LEFT = 64, MOST_HEIGHT = 460;

// Puts each request into the first sub-lane of its connection that is free.
function layOut(run, rows) {
  const known = run.columns.connection != null;
  const groups = new Map();
  for (const row of rows) {
    const connection = known ? run.at("connection", row) : -1;
    const key = Number.isNaN(connection) ? Infinity : connection;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  const lanes = [];
  for (const key of [...groups.keys()].sort((a, b) => a - b)) {
    const free = [];
    for (const row of groups.get(key)) {
      const start = run.at("start", row), end = start + run.length(row);
      let at = free.findIndex((lane) => lane.end <= start + 1e-6);
      if (at < 0) {
        at = free.length;
        const text = key === Infinity ? "none" : key === -1 ? `slot ${at + 1}` : at ? `` : `conn ${key + 1}`;
        free.push({ text, rows: [], end: 0 });
        lanes.push(free[at]);
      }
      free[at].rows.push(row);
      free[at].end = end;
    }
  }
  return lanes;
}

function swimLanes(run, body) {
  const rows = rowsOf(run, false);
  const lanes = layOut(run, rows);
  if (lanes.length === 0) { body.append(el("p", { class: "empty" }, "No request in this selection.")); return; }
  const height = Math.min(MOST_HEIGHT, lanes.length * LANE + TOP + 6);
  const canvas = el("canvas", { tabIndex: 0, role: "application", "aria-label": "Requests by connection along time. Arrow keys move between requests, Enter opens one, plus and minus zoom, 0 shows all." });
  const room = el("div", { class: "lanes", style: { height: `${height}px` } }, canvas);
  room.append(el("div", { style: { height: `${Math.max(0, lanes.length * LANE + TOP + 6 - height)}px` } }));
  const present = PHASES.filter((phase) => run.columns[phase.to]);
  body.append(
    el("div", { class: "tools" }, el("div", { class: "key" }, present.map((phase) => el("span", { title: phase.text }, swatch(phase.name), phase.name === "receiving" ? "receiving (pale: before the first token)" : phase.name)), el("span", {}, swatch("bad"), "failed")),
      el("span", { class: "stretch" }), el("button", { type: "button", onclick: () => zoom(null), disabled: !state.zoom }, "Show all")),
    room,
    el("p", { class: "hint" }, `${plural(lanes.length, run.columns.connection ? "lane" : "slot")}, ${plural(rows.length, "request")}. Drag to zoom, click a request to look into it${run.columns.connection ? "" : "; these files do not name connections, so slots stand for them"}.`));
  const view = { run, lanes, canvas, room, current: null, drag: null };
  const draw = () => requestAnimationFrame(() => paint(view));
  room.addEventListener("scroll", draw);
  new ResizeObserver(draw).observe(room);
  canvas.addEventListener("pointermove", (event) => {
    if (view.drag) { view.drag.to = event.offsetX; draw(); return; }
    const row = hit(view, event);
    canvas.style.cursor = row == null ? "crosshair" : "pointer";
    if (row == null) hideTip(); else showTip(event, brief(run, row));
  });
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("pointerdown", (event) => { if (event.button === 0 && event.offsetX > LEFT) { view.drag = { from: event.offsetX, to: event.offsetX }; canvas.setPointerCapture(event.pointerId); } });
  canvas.addEventListener("pointerup", (event) => {
    const drag = view.drag;
    view.drag = null;
    if (drag && Math.abs(drag.to - drag.from) > 6) { zoom([drag.from, drag.to].sort((a, b) => a - b).map((x) => timeAt(view, x))); return; }
    const row = hit(view, event);
    if (row != null) openDetail(run, row);
  });
  canvas.addEventListener("keydown", (event) => laneKey(view, event, draw));
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", draw);
  draw();
}

const window_ = (view) => state.zoom ?? [0, Math.max(view.run.span, 1e-3)];
function timeAt(view, x) {
  const [from, to] = window_(view), width = view.canvas.clientWidth - LEFT;
  return Math.max(0, from + ((x - LEFT) / width) * (to - from));
}

function paint(view) {
  const { run, lanes, canvas, room } = view;
  if (!canvas.isConnected) return;
  const ratio = devicePixelRatio || 1, width = room.clientWidth, height = room.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.fillStyle = colour("surface");
  ctx.fillRect(0, 0, width, height);
  const [from, to] = window_(view), scale = (width - LEFT) / (to - from);
  const x = (time) => LEFT + (time - from) * scale;
  const colours = Object.fromEntries(PHASES.map((phase) => [phase.name, colour(phase.name)]));
  const bad = colour("bad"), rest = colour("muted"), line = colour("line");
  ctx.font = "11.5px system-ui, sans-serif";
  ctx.textBaseline = "middle";
  const first = Math.max(0, Math.floor(room.scrollTop / LANE)), last = Math.min(lanes.length, first + Math.ceil(height / LANE) + 1);
  ctx.save();
  ctx.beginPath();
  ctx.rect(LEFT, TOP, width - LEFT, height - TOP);
  ctx.clip();
  for (let at = first; at < last; at++) {
    const top = TOP + at * LANE - room.scrollTop;
    ctx.fillStyle = line;
    ctx.fillRect(LEFT, top + LANE - 0.5, width, 0.5);
    let painted = -1;
    for (const row of lanes[at].rows) {
      const start = run.at("start", row), left = x(start), right = Math.max(left + 1, x(start + run.length(row)));
      if (right < LEFT || left > width || right <= painted) continue;
      painted = Math.floor(right);
      const failed = run.is(FLAG.failed, row);
      ctx.fillStyle = failed ? bad : rest;
      ctx.globalAlpha = failed ? 0.9 : 0.28;
      ctx.fillRect(left, top + 3, right - left, LANE - 6);
      ctx.globalAlpha = 1;
      if (right - left > 2) {
        for (const { phase, from: a, to: b } of run.phases(row)) {
          const ttft = run.at("ttft", row), split = phase.name === "receiving" && ttft > a && ttft < b ? ttft : a;
          const part = (from, to) => ctx.fillRect(x(start + from), top + (failed ? 5 : 3), Math.max(0.6, (to - from) * scale), LANE - (failed ? 10 : 6));
          ctx.fillStyle = colours[phase.name];
          ctx.globalAlpha = 0.5;
          if (split > a) part(a, split);
          ctx.globalAlpha = 1;
          part(split, b);
        }
      }
      if (row === view.current) {
        ctx.strokeStyle = colour("ink");
        ctx.lineWidth = 2;
        ctx.strokeRect(left - 1, top + 1, right - left + 2, LANE - 2);
      }
    }
  }
  ctx.restore();
  ctx.textAlign = "right";
  ctx.fillStyle = colour("muted");
  for (let at = first; at < last; at++) {
    const top = TOP + at * LANE - room.scrollTop;
    if (top >= TOP - 2) ctx.fillText(lanes[at].text, LEFT - 8, top + LANE / 2);
  }
  ctx.fillStyle = colour("surface");
  ctx.fillRect(0, 0, width, TOP);
  ctx.fillStyle = colour("muted");
  ctx.textAlign = "center";
  const steps = Math.max(2, Math.floor((width - LEFT) / 130));
  for (const tick of ticks(from, to, steps)) {
    ctx.fillText(stamp(tick), Math.max(LEFT + 16, Math.min(width - 24, x(tick))), TOP / 2);
    ctx.fillRect(x(tick), TOP - 4, 1, 4);
  }
  if (view.drag) {
    ctx.fillStyle = fill("accent", 0.2);
    ctx.fillRect(Math.min(view.drag.from, view.drag.to), TOP, Math.abs(view.drag.to - view.drag.from), height);
  }
}

// Round instants between two, about so many.
function ticks(from, to, about) {
  const rough = (to - from) / about, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((one) => one >= rough) ?? rough;
  const found = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) found.push(tick);
  return found;
}

function hit(view, event) {
  const { run, lanes, room } = view;
  if (event.offsetY < TOP || event.offsetX < LEFT) return null;
  const lane = lanes[Math.floor((event.offsetY - TOP + room.scrollTop) / LANE)];
  if (!lane) return null;
  const time = timeAt(view, event.offsetX), reach = Math.abs(timeAt(view, event.offsetX + 3) - time);
  let best = null, distance = reach;
  for (const row of lane.rows) {
    const start = run.at("start", row), end = start + run.length(row);
    const away = time < start ? start - time : time > end ? time - end : 0;
    if (away <= distance) { best = row; distance = away; if (away === 0) break; }
  }
  return best;
}

function laneKey(view, event, draw) {
  const { run, lanes, room } = view;
  const [from, to] = window_(view), width = to - from;
  let at = lanes.findIndex((lane) => lane.rows.includes(view.current));
  const start = (row) => run.at("start", row);
  const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (move) {
    if (at < 0) { at = 0; view.current = lanes[0].rows.find((row) => start(row) >= from) ?? lanes[0].rows[0]; }
    else if (move[1]) { const rows = lanes[at].rows; view.current = rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(view.current) + move[1]))]; }
    else {
      at = Math.max(0, Math.min(lanes.length - 1, at + move[0]));
      const time = start(view.current);
      view.current = lanes[at].rows.reduce((best, row) => (Math.abs(start(row) - time) < Math.abs(start(best) - time) ? row : best));
    }
    const top = at * LANE;
    if (top < room.scrollTop) room.scrollTop = top;
    if (top + LANE + TOP > room.scrollTop + room.clientHeight) room.scrollTop = top + LANE + TOP - room.clientHeight;
    draw();
  } else if (event.key === "Enter" && view.current != null) openDetail(run, view.current);
  else if (event.key === "+" || event.key === "=" || event.key === "-") {
    const centre = view.current == null ? from + width / 2 : start(view.current), half = (width * (event.key === "-" ? 2 : 0.5)) / 2;
    zoom(half * 2 >= run.span ? null : [Math.max(0, centre - half), centre + half], "lanes");
  } else if (event.key === "0") zoom(null, "lanes");
  else return;
  event.preventDefault();
}

function brief(run, row) {
  const lines = [`Record line ${count(run.at("line", row))}, started at ${stamp(run.at("start", row))}`, `latency ${duration(run.length(row))}`];
  if (Number.isFinite(run.at("ttft", row))) lines[1] += `, first token ${duration(run.at("ttft", row))}`;
  if (Number.isFinite(run.at("osl", row))) lines.push(`${number(run.at("isl", row))} tokens in, ${number(run.at("osl", row))} out`);
  if (run.is(FLAG.failed, row)) lines.push(run.error(row));
  return lines;
}
