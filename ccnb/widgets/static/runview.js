// The page's half of ccnb/widgets/view.py. HTML comes escaped from there (items); all else is set as text.
const MOST_ITEMS = 200;
const MOST_CHARS = 200000;

function make(tag, look, text) {
  const made = document.createElement(tag);
  if (look) made.className = look;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, title, act) {
  const made = make("button", "ccnb-button", text);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", act);
  return made;
}

function duration(s) {
  if (s < 59.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(whole % 60)} s`;
}

// The conversation: so many pieces at most, whatever the run does. A body is drawn when it is unfolded.
class Pieces {
  constructor(box) {
    this.box = box;
    this.clear();
  }

  clear() {
    this.box.replaceChildren();
    this.kept = [];
    this.chars = 0;
    this.calls = new Map();
    this.first = 0;
    this.end = 0;
  }

  add(items, filter) {
    // What a page has asked for may have been on its way already.
    const fresh = items.filter((item) => item.n >= this.end);
    for (const item of fresh) this.one(item, filter);
    while (this.kept.length > MOST_ITEMS || (this.chars > MOST_CHARS && this.kept.length > 1)) this.drop();
    if (!fresh.length) return;
    this.first = this.kept[0].n;
    this.end = fresh[fresh.length - 1].n + 1;
  }

  one(item, filter) {
    const size = item.head.length + item.body.length;
    this.chars += size;
    const call = item.kind === "result" && this.calls.get(item.tool);
    if (call) {
      call.size += size;
      call.n = Math.max(call.n, item.n);
      call.bodies.push(`<div>${item.head}</div>${item.body}`);
      if (item.failed) call.summary.append(Object.assign(make("span", "ccnb-red", " ✗")));
      if (call.node.open) call.fill();
      return;
    }
    const kept = { n: item.n, size, bodies: item.body ? [item.body] : [], tool: item.tool };
    if (item.kind === "tool" || item.body) this.folded(kept, item);
    else {
      kept.node = make("div", `ccnb-piece ccnb-${item.kind}`);
      kept.node.innerHTML = item.head;
    }
    this.kept.push(kept);
    this.box.append(kept.node);
    this.show(kept, filter);
  }

  folded(kept, item) {
    kept.node = make("details", `ccnb-piece ccnb-${item.kind}`);
    kept.summary = make("summary");
    kept.summary.innerHTML = item.head;
    const body = make("div", "ccnb-body");
    kept.fill = () => (body.innerHTML = kept.bodies.join(""));
    kept.node.append(kept.summary, body);
    kept.node.addEventListener("toggle", () => (kept.node.open ? kept.fill() : body.replaceChildren()));
    if (item.kind === "tool") this.calls.set(item.tool, kept);
  }

  drop() {
    const old = this.kept.shift();
    this.chars -= old.size;
    if (this.calls.get(old.tool) === old) this.calls.delete(old.tool);
    old.node.remove();
  }

  show(kept, filter) {
    const text = filter && `${kept.node.textContent} ${kept.bodies.join(" ")}`.toLowerCase();
    kept.node.hidden = Boolean(filter) && !text.includes(filter);
  }

  filter(text) {
    for (const kept of this.kept) this.show(kept, text);
  }
}

class Row {
  constructor(send, run) {
    this.send = (kind, more) => send({ kind, run, ...more });
    this.node = make("section", "ccnb-run");
    this.node.setAttribute("aria-label", `run ${run}`);
    this.follows = true;
    this.wanted = "";
    this.at = performance.now();
    this.elapsed = 0;
    this.build(run);
    this.pieces = new Pieces(this.list);
  }

  build(run) {
    const line = make("div", "ccnb-head");
    this.fold = button("▸", "show the conversation", () => this.unfold(this.body.hidden));
    this.word = make("b", "ccnb-word");
    this.mode = make("span", "ccnb-mode");
    this.mode.title = run;
    this.time = make("span", "ccnb-time");
    this.counted = make("span", "ccnb-counted");
    this.doing = make("span", "ccnb-doing");
    this.stop = button("Stop", `end run ${run}`, () => {
      this.stop.disabled = true;
      this.stop.textContent = "stopping";
      this.send("stop");
    });
    line.append(this.fold, this.word, this.mode, this.time, this.counted, this.doing, this.stop);
    this.bar = make("div", "ccnb-bar");
    this.bar.setAttribute("role", "img");
    this.lines = make("div", "ccnb-lines");
    this.node.append(line, this.bar, this.lines, this.conversation());
  }

  conversation() {
    this.body = make("div", "ccnb-conversation");
    this.body.hidden = true;
    const tools = make("div", "ccnb-tools");
    const search = make("input", "ccnb-filter");
    search.type = "search";
    search.placeholder = "filter what is shown";
    search.setAttribute("aria-label", "filter what is shown");
    // Without this, the notebook takes the letters for its own keys.
    search.addEventListener("keydown", (event) => event.stopPropagation());
    search.addEventListener("input", () => {
      this.wanted = search.value.toLowerCase();
      this.pieces.filter(this.wanted);
    });
    this.earlier = button("Earlier", "the part before this one", () => this.page(this.pieces.first));
    this.following = button("Following", "stay at the end, or don't", () => this.follow(!this.follows));
    this.following.setAttribute("aria-pressed", "true");
    this.place = make("span", "ccnb-place");
    tools.append(search, this.earlier, this.following, this.place);
    this.list = make("div", "ccnb-list");
    this.list.tabIndex = 0;
    this.list.setAttribute("role", "log");
    this.list.setAttribute("aria-live", "off");
    this.list.addEventListener("wheel", (event) => event.deltaY < 0 && this.follow(false), { passive: true });
    this.body.append(tools, this.list);
    return this.body;
  }

  unfold(open) {
    this.set_open(open);
    this.send("open", { open });
  }

  set_open(open) {
    this.body.hidden = !open;
    this.lines.hidden = open;
    this.fold.textContent = open ? "▾" : "▸";
    this.fold.setAttribute("aria-expanded", String(open));
  }

  follow(wanted) {
    if (wanted === this.follows) return;
    this.follows = wanted;
    this.following.textContent = wanted ? "Following" : "Follow";
    this.following.setAttribute("aria-pressed", String(wanted));
    if (wanted) this.page(null);
  }

  page(before) {
    if (before !== null) this.follow(false);
    this.send("page", { before });
  }

  take(message, whole) {
    if (message.word !== undefined) this.head(message);
    if (message.lines) this.show_lines(message.lines);
    if (whole && message.open !== undefined) this.set_open(message.open);
    if (!message.items) return;
    if (whole) this.pieces.clear();
    // Who has scrolled back reads on undisturbed.
    if (whole || this.follows) this.show_pieces(message.items);
  }

  take_page(message) {
    this.pieces.clear();
    this.show_pieces(message.items);
    this.pieces.first = message.first;
    this.list.scrollTop = this.follows ? this.list.scrollHeight : 0;
    this.tell_place();
  }

  show_pieces(items) {
    this.pieces.add(items, this.wanted);
    if (this.follows) this.list.scrollTop = this.list.scrollHeight;
    this.tell_place();
  }

  tell_place() {
    const { first, end } = this.pieces;
    this.earlier.disabled = first <= 0;
    this.place.textContent = end ? `events ${first + 1} to ${end} of ${this.count}` : "";
  }

  head(message) {
    this.word.textContent = message.word;
    this.word.className = `ccnb-word ccnb-${message.look}`;
    this.mode.textContent = message.mode;
    this.counted.textContent = [message.counted, message.health].filter(Boolean).join(" · ");
    this.doing.textContent = message.doing;
    this.stop.hidden = message.over;
    this.over = message.over;
    this.count = message.count;
    this.elapsed = message.elapsed_s;
    this.at = performance.now();
    this.tick();
    this.show_phases(message.phases);
    this.tell_place();
  }

  show_phases(phases) {
    const parts = phases.map(([name, s, colour]) => {
      const part = make("div");
      part.style.flexGrow = s;
      part.style.background = colour;
      part.title = `${name}: ${s.toFixed(2)} s`;
      return part;
    });
    this.bar.replaceChildren(...parts);
    this.bar.setAttribute("aria-label", phases.map(([name, s]) => `${name} ${s.toFixed(2)} s`).join(", "));
  }

  show_lines(lines) {
    this.lines.replaceChildren(...lines.map((line) => make("div", "", line)));
  }

  tick() {
    const since = this.over ? 0 : (performance.now() - this.at) / 1000;
    this.time.textContent = duration(this.elapsed + since);
  }
}

function render({ model, el }) {
  const root = make("div", "ccnb-runs");
  el.append(root);
  const rows = new Map();
  const row = (run) => {
    if (!rows.has(run)) {
      rows.set(run, new Row((content) => model.send(content), run));
      root.append(rows.get(run).node);
    }
    return rows.get(run);
  };
  const hear = (message) => {
    for (const part of message.rows || []) {
      if (message.kind === "page") row(part.run).take_page(part);
      else row(part.run).take(part, message.kind === "all");
    }
  };
  model.on("msg:custom", hear);
  const clock = setInterval(() => rows.forEach((one) => one.over || one.tick()), 500);
  model.send({ kind: "ready" });
  return () => {
    clearInterval(clock);
    model.off("msg:custom", hear);
  };
}

export default { render };
