// Draws the OpenAPI document of this server. Texts are only ever set as text, never as markup.
"use strict";

/** An element with properties and children; texts become text nodes. */
function make(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The part of CommonMark that descriptions use: paragraphs, **strong** and `code`. */
function prose(text) {
  return (text ?? "").split(/\n\n+/).filter(Boolean).map((paragraph) => make("p", {}, inline(paragraph)));
}

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((piece) => {
    if (piece.startsWith("`")) return make("code", {}, piece.slice(1, -1));
    if (piece.startsWith("**")) return make("strong", {}, piece.slice(2, -2));
    return piece;
  });
}

/** What a local reference points at. */
function resolve(api, node) {
  const target = node?.$ref;
  if (!target) return node;
  return target.split("/").slice(1).reduce((at, name) => at?.[name], api);
}

const nameOf = (node) => node?.$ref?.split("/").pop();

/** A type in a few words. */
function typeOf(api, schema) {
  if (schema.$ref) return nameOf(schema);
  for (const [word, all] of [["or", schema.oneOf], ["or", schema.anyOf], ["and", schema.allOf]]) {
    if (all) return [...new Set(all.map((form) => typeOf(api, form)))].join(` ${word} `);
  }
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const types = [schema.type ?? "any"].flat();
  return types.map((type) => {
    if (type === "array") return `list of ${typeOf(api, schema.items ?? {})}`;
    return schema.format && type !== "null" ? `${type} (${schema.format})` : type;
  }).join(" or ");
}

/** Bounds and defaults in words. */
function boundsOf(schema) {
  const told = [];
  const say = (name, text) => schema[name] !== undefined && told.push(`${text} ${JSON.stringify(schema[name])}`);
  say("minimum", "from"); say("maximum", "to"); say("minLength", "at least characters:");
  say("maxLength", "at most characters:"); say("minItems", "at least entries:"); say("maxItems", "at most entries:");
  say("default", "default");
  return told.join(", ");
}

/** The schemas inside a schema that have members of their own to show. */
function inner(api, schema) {
  if (schema.$ref) return [[nameOf(schema), resolve(api, schema)]];
  const forms = [...(schema.oneOf ?? []), ...(schema.anyOf ?? []), ...(schema.allOf ?? [])];
  if (forms.length) return forms.flatMap((form) => inner(api, form));
  if (schema.items) return inner(api, schema.items);
  if (schema.properties) return [["members", schema]];
  return [];
}

/** A schema drawn when it is opened first: schemas may contain themselves. */
function expandable(api, name, schema) {
  const details = make("details", {}, make("summary", {}, make("code", {}, name ?? "members")));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(members(api, schema));
  });
  return details;
}

function members(api, schema) {
  const parts = make("div");
  if (schema.description) parts.append(...prose(schema.description));
  if (schema.allOf || schema.oneOf || schema.anyOf) {
    for (const form of schema.allOf ?? schema.oneOf ?? schema.anyOf) {
      const shown = resolve(api, form);
      if (shown.properties && schema.allOf) parts.append(members(api, shown));
      else if (shown.properties || form.$ref) parts.append(expandable(api, nameOf(form) ?? label(shown), shown));
      else parts.append(make("p", { className: "type" }, typeOf(api, form)));
    }
    return parts;
  }
  const list = make("dl", { className: "members" });
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    list.append(...row(api, name, member, schema.required?.includes(name)));
  }
  if (list.childElementCount) parts.append(list);
  else parts.append(make("p", { className: "type" }, typeOf(api, schema)));
  if (schema.additionalProperties === false) parts.append(make("p", { className: "type" }, "Other members are refused."));
  return parts;
}

/** A form of a choice without a name, told by its fixed words. */
function label(schema) {
  const word = Object.entries(schema.properties ?? {}).find(([, member]) => member.enum?.length === 1);
  return word ? `${word[0]}: ${JSON.stringify(word[1].enum[0])}` : "members";
}

function row(api, name, schema, needed) {
  const shown = inner(api, schema);
  const about = schema.description ?? (schema.$ref ? "" : undefined);
  const bounds = boundsOf(schema);
  return [
    make("dt", {}, name, " ", needed && make("span", { className: "needed" }, "required")),
    make("dd", {}, make("p", { className: "type" }, typeOf(api, schema)), prose(about),
      bounds && make("p", { className: "type" }, bounds), shown.map(([inside, of]) => expandable(api, inside, of))),
  ];
}

/** Code with a button that copies it. */
function listing(caption, text) {
  const button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return make("figure", {}, make("figcaption", {}, caption), make("pre", { tabIndex: 0 }, make("code", {}, text)), button);
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** A call that can be pasted into a shell. */
function curl(api, method, path, operation) {
  const address = path.replace(/\{(\w+)\}/g, (_, name) => (name === "index" ? "0" : name.toUpperCase()));
  const parts = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${location.origin}${address}`];
  if (operation.security?.length) parts.push('-H "authorization: Bearer $ATELIER_KEY"');
  const content = operation.requestBody?.content ?? {};
  if (content["application/json"]) {
    parts.push("-H 'content-type: application/json'", `-d ${quoted(JSON.stringify(content["application/json"].example, null, 2))}`);
  } else if (content["multipart/form-data"]) {
    const schema = resolve(api, content["multipart/form-data"].schema);
    for (const name of schema.required ?? []) {
      const isFile = schema.properties[name].format === "binary";
      parts.push(`-F ${quoted(isFile ? `${name}=@FILE` : `${name}=${name.toUpperCase()}`)}`);
    }
  }
  return parts.join(" \\\n  ");
}

function bytes(count) {
  return count >= 1 << 20 ? `${Math.floor(count / (1 << 20))} MiB` : `${Math.floor(count / 1024)} KiB`;
}

function body(api, operation) {
  return Object.entries(operation.requestBody?.content ?? {}).flatMap(([kind, { schema }]) => [
    make("h4", {}, "Body ", make("span", { className: "type" }, kind)), members(api, resolve(api, schema)),
  ]);
}

function answers(api, operation) {
  return Object.entries(operation.responses).map(([status, node]) => {
    const answer = resolve(api, node);
    const details = make("details", {}, make("summary", {},
      make("span", { className: status < "400" ? "status" : "status error" }, status), " ", inline(answer.description)));
    details.addEventListener("toggle", () => {
      if (!details.open || details.childElementCount > 1) return;
      const headers = Object.entries(answer.headers ?? {});
      if (headers.length) {
        details.append(make("dl", { className: "members" }, headers.flatMap(([name, header]) => row(api, name, { ...header.schema, description: header.description }))));
      }
      for (const [kind, content] of Object.entries(answer.content ?? {})) {
        const schema = content["x-event"] ?? content.schema ?? {};
        const part = make("div", {}, make("p", { className: "type" }, content["x-event"] ? `${kind}, each event:` : kind));
        const shown = inner(api, schema);
        part.append(...(shown.length ? shown.map(([name, of]) => expandable(api, name, of)) : [make("p", { className: "type" }, typeOf(api, schema))]));
        if (content.example !== undefined) {
          part.append(listing("Example", typeof content.example === "string" ? content.example : JSON.stringify(content.example, null, 2)));
        }
        details.append(part);
      }
    });
    if (status < "300") details.open = true;
    return details;
  });
}

function article(api, { method, path, operation }) {
  const rules = operation["x-atelier"] ?? {};
  const parameters = (operation.parameters ?? []).map((parameter) =>
    row(api, `${parameter.name} (${parameter.in})`, { ...resolve(api, parameter.schema), description: parameter.description }, parameter.required));
  const id = operation.operationId;
  return make("article", { id, "aria-labelledby": `${id}-title` },
    make("h3", { id: `${id}-title` }, make("a", { href: `#${id}` }, operation.summary)),
    make("p", { className: "address" }, make("span", { className: `method ${method}` }, method), " ", path),
    make("ul", { className: "chips", "aria-label": "Rules" },
      make("li", {}, rules.scope ? `scope: ${rules.scope}` : "open to anybody"),
      rules.limit && make("li", {}, `limit: ${rules.limit}`),
      rules.body_bytes_max && make("li", {}, `body: up to ${bytes(rules.body_bytes_max)}`),
      operation.deprecated && make("li", { className: "warn" }, "deprecated")),
    make("div", { className: "prose" }, prose(operation.description)),
    listing("Example call", curl(api, method, path, operation)),
    parameters.length > 0 && [make("h4", {}, "Parameters"), make("dl", { className: "members" }, parameters)],
    body(api, operation),
    make("h4", {}, "Answers"), answers(api, operation));
}

/** Shows the operations whose words contain all that was typed. */
function search(entries) {
  const field = document.getElementById("search");
  const found = document.getElementById("found");
  const apply = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { link, text } of entries) {
      const matches = words.every((word) => text.includes(word));
      link.hidden = !matches;
      count += matches;
    }
    for (const group of document.querySelectorAll("#operations section")) group.hidden = !group.querySelector("li:not([hidden])");
    found.textContent = words.length ? `${count} of ${entries.length} operations` : "";
  };
  field.addEventListener("input", apply);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !(event.target instanceof HTMLInputElement)) {
      event.preventDefault();
      field.focus();
    } else if (event.key === "Escape" && event.target === field) {
      field.value = "";
      apply();
    }
  });
}

/** Marks in the list what is being read. */
function follow(entries) {
  const byId = new Map(entries.map(({ id, link }) => [id, link.firstElementChild]));
  const seen = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (!isIntersecting) continue;
      for (const link of byId.values()) link.removeAttribute("aria-current");
      byId.get(target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-80px 0px -75% 0px" });
  for (const id of byId.keys()) seen.observe(document.getElementById(id));
}

function draw(api) {
  document.getElementById("version").textContent = api.info.version;
  const main = document.getElementById("content");
  const list = document.getElementById("operations");
  main.append(make("div", { className: "prose" }, prose(api.info.description)));
  const all = Object.entries(api.paths).flatMap(([path, item]) =>
    ["get", "post", "put", "patch", "delete"].filter((method) => item[method]).map((method) => ({ method, path, operation: item[method] })));
  const entries = [];
  for (const tag of api.tags) {
    const own = all.filter(({ operation }) => operation.tags.includes(tag.name));
    const items = own.map(({ method, path, operation }) => {
      const link = make("li", {}, make("a", { href: `#${operation.operationId}`, title: path },
        make("span", { className: `method ${method}` }, method), make("span", {}, operation.summary)));
      const scope = operation["x-atelier"]?.scope ?? "public";
      entries.push({ id: operation.operationId, link, text: [tag.name, method, path, operation.summary, operation.operationId, scope].join(" ").toLowerCase() });
      return link;
    });
    list.append(make("section", { "aria-label": tag.name }, make("h2", {}, tag.name), make("ul", {}, items)));
    main.append(make("section", { "aria-labelledby": `tag-${tag.name}` }, make("h2", { id: `tag-${tag.name}` }, tag.name),
      make("div", { className: "prose" }, prose(tag.description)), own.map((entry) => article(api, entry))));
  }
  search(entries);
  follow(entries);
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView({ behavior: "instant" });
}

async function start() {
  const state = document.getElementById("state");
  try {
    const answer = await fetch("api/v1/openapi.json");
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    draw(await answer.json());
    state.remove();
  } catch (error) {
    state.textContent = `The description could not be shown: ${error.message}. Reload the page to try again.`;
  }
}

start();
