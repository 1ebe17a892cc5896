// The page's half of ccnb/widgets/panel.py. Everything that comes from there is set as text.
function make(tag, look, text) {
  const made = document.createElement(tag);
  if (look) made.className = look;
  if (text !== undefined) made.textContent = text;
  return made;
}

function labelled(text, field) {
  const label = make("label", "ccnb-field", text);
  // Else what a select offers would be part of its name.
  field.setAttribute("aria-label", text);
  label.append(field);
  return label;
}

function input(placeholder, type = "text") {
  const made = make("input");
  made.type = type;
  made.placeholder = placeholder;
  return made;
}

function choice(...first) {
  const made = make("select");
  for (const [value, text] of first) made.append(new Option(text, value));
  return made;
}

class Form {
  constructor(model) {
    this.model = model;
    this.edited = false;
    this.node = make("div", "ccnb-panel");
    this.fields = {
      prompt: make("textarea"),
      mode: choice(["auto", "auto (strongest)"]),
      model: input("default"),
      api: input("live"),
      workspace: input("a fresh folder"),
      copy: input("", "checkbox"),
      auth: choice(["", "what fits"]),
      network: input("open"),
      check: input("none"),
      timeout_s: input("1800"),
      max_turns: input("no limit"),
      budget_usd: input("no limit"),
      budget_tokens: input("no limit"),
      repeats: input("1"),
    };
    this.fields.prompt.rows = 3;
    this.fields.prompt.placeholder = "What the agent is asked to do";
    this.models = make("datalist");
    this.models.id = `ccnb-models-${Math.random().toString(36).slice(2)}`;
    this.fields.model.setAttribute("list", this.models.id);
    this.build();
  }

  build() {
    const names = {
      mode: "mode",
      model: "model",
      api: "answers from",
      workspace: "workspace",
      copy: "on a copy",
      auth: "credential by",
      network: "network",
      check: "check",
      timeout_s: "time limit (s)",
      max_turns: "turns at most",
      budget_usd: "budget (USD)",
      budget_tokens: "budget (tokens)",
      repeats: "repeats",
    };
    const grid = make("div", "ccnb-fields");
    for (const [name, text] of Object.entries(names)) grid.append(labelled(text, this.fields[name]));
    this.run = this.button("Run", () => this.act("run"));
    this.compare = this.button("Compare", () => this.act("compare"));
    this.compare.title = "run it in each mode that is ticked, and set these against each other";
    this.stop = this.button("Stop", () => this.send("stop"));
    this.stop.disabled = true;
    this.note = make("span", "ccnb-note");
    this.error = make("div", "ccnb-error");
    this.error.setAttribute("role", "alert");
    const actions = make("div", "ccnb-actions");
    actions.append(this.run, this.compare, this.stop, this.note);
    this.why = make("div", "ccnb-why");
    this.ticks = make("fieldset", "ccnb-ticks");
    this.ticks.append(make("legend", "", "compare in"));
    this.compared = make("div", "ccnb-compared");
    this.node.append(labelled("prompt", this.fields.prompt), grid, this.ticks, this.why, actions, this.error);
    this.node.append(this.call(), this.earlier(), this.compared);
    // Without this, the notebook takes the letters for its own keys.
    this.node.addEventListener("keydown", (event) => event.stopPropagation());
    this.node.addEventListener("input", () => {
      this.edited = true;
      this.changed();
    });
  }

  call() {
    this.python = make("div");
    const folded = make("details");
    folded.append(make("summary", "", "the same in Python"), this.python);
    return folded;
  }

  show_python(calls) {
    const parts = calls.flatMap((text) => [
      make("pre", "ccnb-python", text),
      this.button("Copy", () => navigator.clipboard?.writeText(text)),
    ]);
    this.python.replaceChildren(...parts);
  }

  earlier() {
    this.runs = make("tbody");
    const table = make("table", "ccnb-earlier");
    table.append(this.runs);
    const folded = make("details");
    folded.append(make("summary", "", "earlier runs"), table);
    return folded;
  }

  button(text, act) {
    const made = make("button", "ccnb-button", text);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  }

  send(kind, more) {
    this.model.send({ kind, ...more });
  }

  act(kind) {
    // What was typed before is in it: that must not take away what is said of it.
    this.edited = false;
    this.send(kind, { form: this.values() });
  }

  values() {
    const pairs = Object.entries(this.fields).map(([name, field]) => [
      name,
      field.type === "checkbox" ? field.checked : field.value,
    ]);
    const modes = [...this.ticks.querySelectorAll("input:checked")].map((tick) => tick.value);
    return { ...Object.fromEntries(pairs), modes };
  }

  changed() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => {
      this.send("form", { form: this.values(), edited: this.edited });
      this.edited = false;
    }, 250);
  }

  hear(message) {
    if (message.modes) this.show_modes(message.modes);
    if (message.models) this.models.replaceChildren(...message.models.map((name) => new Option(name, name)));
    if (message.auths && this.fields.auth.length === 1) {
      for (const name of message.auths) this.fields.auth.append(new Option(name, name));
    }
    if (message.runs) this.show_runs(message.runs);
    if (message.python !== undefined) this.show_python(message.python);
    if (message.compared !== undefined) this.show_compared(message.compared);
    if (message.error !== undefined) this.error.textContent = message.error;
    if (message.note !== undefined) this.note.textContent = message.note;
    if (message.busy !== undefined) {
      this.run.disabled = this.compare.disabled = message.busy;
      this.stop.disabled = !message.busy;
    }
  }

  show_modes(modes) {
    const picked = this.fields.mode.value;
    const options = modes.map((mode) => {
      const option = new Option(mode.ready ? mode.name : `${mode.name}: not ready`, mode.name);
      option.disabled = !mode.ready;
      return option;
    });
    this.fields.mode.replaceChildren(this.fields.mode.options[0], ...options);
    this.fields.mode.value = picked;
    const lines = modes.filter((mode) => !mode.ready).map((mode) => `${mode.name} is not ready: ${mode.why}`);
    this.why.replaceChildren(...lines.map((line) => make("div", "", line)));
    this.show_ticks(modes.filter((mode) => mode.ready));
  }

  // What is somewhere else may cost something: that is ticked by hand.
  show_ticks(modes) {
    const before = new Map([...this.ticks.querySelectorAll("input")].map((tick) => [tick.value, tick.checked]));
    const labels = modes.map((mode) => {
      const tick = make("input");
      tick.type = "checkbox";
      tick.value = mode.name;
      tick.checked = before.get(mode.name) ?? !mode.remote;
      const label = make("label");
      label.append(tick, mode.name);
      return label;
    });
    this.ticks.replaceChildren(this.ticks.firstChild, ...labels);
    this.changed();
  }

  // Its HTML comes escaped from ccnb/comparison.
  show_compared(compared) {
    this.compared.replaceChildren();
    if (!compared) return;
    this.compared.innerHTML = compared.html;
    this.compared.append(make("div", "ccnb-why", `in Python: ccnb.Comparison("${compared.name}")`));
  }

  show_runs(runs) {
    const rows = runs.map((run) => {
      const row = make("tr");
      const open = this.button("Open", () => this.send("open", { run: run.run }));
      open.title = `show run ${run.run}`;
      const first = make("td");
      first.append(open);
      const cells = ["run", "mode", "outcome", "time", "cost", "prompt"].map((name) => make("td", "", run[name]));
      row.append(first, ...cells);
      return row;
    });
    this.runs.replaceChildren(...rows);
  }
}

function render({ model, el }) {
  const form = new Form(model);
  el.append(form.models, form.node);
  const hear = (message) => form.hear(message);
  model.on("msg:custom", hear);
  form.send("ready");
  form.changed();
  return () => {
    clearTimeout(form.soon);
    model.off("msg:custom", hear);
  };
}

export default { render };
