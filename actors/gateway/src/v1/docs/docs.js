// Reads the description of the API and makes a form for each operation. All text becomes text nodes, never HTML.

const most = 256 * 1024; // characters of a response that are shown
const key = document.getElementById("key");

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
  node.append(...children);
  return node;
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  const variants = schema.oneOf || schema.anyOf;
  if (variants) return variants.map(typeOf).join(" or ");
  const types = [schema.type].flat().filter((type) => type && type !== "null");
  const limits = [["minimum", "from"], ["maximum", "to"]].filter(([name]) => name in schema);
  const range = limits.map(([name, word]) => ` ${word} ${schema[name]}`).join("");
  const items = schema.items ? ` of ${typeOf(schema.items)}` : "";
  return (types.join(" or ") || "any") + items + range + (schema.enum ? `: ${schema.enum.join(", ")}` : "");
}

function field(parameter) {
  const input = element("input", { name: parameter.name, autocomplete: "off", spellcheck: "false" });
  if (parameter.required) input.required = true;
  const kind = `${parameter.in}, ${typeOf(parameter.schema)}${parameter.required ? ", required" : ""}`;
  const label = element("label", { class: "field" },
    element("code", {}, parameter.name), input, element("small", {}, `${parameter.description || ""} (${kind})`));
  return { label, input, parameter };
}

// An example of a body with the required fields, and a list of all.
function body(schema) {
  const example = {};
  for (const name of schema.required || []) {
    const [type] = [schema.properties[name].type].flat();
    example[name] = { string: "", integer: 1, number: 1, boolean: true, array: [], object: {} }[type] ?? null;
  }
  const text = element("textarea", { "aria-label": "body", spellcheck: "false" });
  text.value = JSON.stringify(example, null, 2);
  const rows = Object.entries(schema.properties || {}).map(([name, of]) =>
    element("div", { class: "field" }, element("code", {}, name),
      element("span", {}, `${of.description || ""} (${typeOf(of)}${(schema.required || []).includes(name) ? ", required" : ""})`)));
  return { text, rows };
}

function request(method, path, fields, text) {
  const headers = new Headers();
  const query = new URLSearchParams();
  let url = path;
  for (const { input, parameter } of fields) {
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value === "") continue;
    else if (parameter.in === "query") query.set(parameter.name, input.value);
    else headers.set(parameter.name, input.value);
  }
  if (key.value) headers.set("x-kiro-key", key.value);
  if (method !== "GET") headers.set("X-Kirosu-Csrf", "1");
  if (text) headers.set("content-type", "application/json");
  const asked = query.size ? `${url}?${query}` : url;
  return [asked, { method, headers, body: text ? text.value : undefined, credentials: "same-origin", cache: "no-store" }];
}

async function show(response, output) {
  const shown = ["content-type", "x-request-id", "link", "allow", "retry-after"].filter((name) => response.headers.has(name));
  const head = [`${response.status} ${response.statusText}`, ...shown.map((name) => `${name}: ${response.headers.get(name)}`)];
  output.textContent = `${head.join("\n")}\n\n`;
  const node = document.createTextNode("");
  output.append(node);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let whole = ""; reader; ) {
    const { done, value } = await reader.read();
    if (done) {
      if (response.headers.get("content-type")?.includes("json")) {
        try { node.data = JSON.stringify(JSON.parse(whole), null, 2).slice(0, most); } catch { /* stays as it came */ }
      }
      return;
    }
    whole += value;
    node.data = whole.length > most ? whole.slice(-most) : whole;
    output.scrollTop = output.scrollHeight;
  }
}

function form(method, path, operation) {
  const fields = operation.parameters.map(field);
  const content = operation.requestBody?.content["application/json"].schema;
  const given = content && body(content);
  const output = element("pre", { tabindex: "0", "aria-label": "response" });
  const send = element("button", {}, "Send");
  const stop = element("button", { type: "button", disabled: "" }, "Stop");
  const node = element("form", {}, element("p", {}, operation.description), ...fields.map(({ label }) => label));
  if (given) node.append(element("p", {}, "Body"), given.text, element("details", {}, element("summary", {}, "Fields of the body"), ...given.rows));
  node.append(send, " ", stop, output);
  let running;
  stop.addEventListener("click", () => running?.abort());
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    running?.abort();
    running = new AbortController();
    stop.disabled = false;
    output.textContent = "...";
    const own = running;
    try {
      const [url, options] = request(method, path, fields, given?.text);
      await show(await fetch(url, { ...options, signal: own.signal }), output);
    } catch (error) {
      output.append(`\n${error.name === "AbortError" ? "stopped" : error}`);
    }
    if (own === running) stop.disabled = true;
  });
  return node;
}

function entry(method, path, operation) {
  const node = element("details", {}, element("summary", {},
    element("span", { class: "method" }, method), element("code", {}, path), ` ${operation.summary} `,
    element("small", {}, operation["x-kirosu-right"])));
  node.addEventListener("toggle", () => {
    if (node.open && node.childElementCount === 1) node.append(form(method, path, operation));
  });
  return node;
}

const operations = document.getElementById("operations");
try {
  const { paths } = await (await fetch("/v1/openapi.json")).json();
  const groups = new Map();
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, element("section", {}, element("h2", {}, tag)));
      groups.get(tag).append(entry(method.toUpperCase(), path, operation));
    }
  }
  operations.append(...groups.values());
} catch (error) {
  operations.textContent = `The description could not be read: ${error}`;
}

document.getElementById("filter").addEventListener("input", ({ target }) => {
  const wanted = target.value.trim().toLowerCase();
  for (const section of operations.children) {
    const entries = [...section.querySelectorAll(":scope > details")];
    for (const each of entries) each.hidden = !each.firstChild.textContent.toLowerCase().includes(wanted);
    section.hidden = entries.every((each) => each.hidden);
  }
});
