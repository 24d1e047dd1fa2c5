/** Test-only: what the server does to triggers before it gives them to the page. */

import type { Tree } from "../src/trigger";
import type { Value } from "../src/value";

type Token = { kind: "name" | "text" | "number" | "sign"; text: string };

const TOKEN =
  /\s*(?:("(?:\\["\\]|[^"])*"|'(?:\\['\\]|[^'])*')|([+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Infinity)(?![\p{L}\d_]))|((?:\\.|[\p{L}_])(?:\\.|[\p{L}\p{M}\d_-]|\s*\.\s*(?=\\?.)|\[[^\]]*\])*)|([!<>=]=?|[(),]))/uy;

function tokens(trigger: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  for (;;) {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(trigger);
    if (!match) {
      if (trigger.slice(start).trim()) throw new Error(`no token at ${start}: ${trigger}`);
      return found;
    }
    const [, text, number, name, sign] = match;
    if (text !== undefined) found.push({ kind: "text", text: text.slice(1, -1).replace(new RegExp(`\\\\([${text[0]}\\\\])`, "g"), "$1") });
    else if (number !== undefined) found.push({ kind: "number", text: number });
    else if (name) found.push({ kind: "name", text: name });
    else found.push({ kind: "sign", text: sign! });
  }
}

function path(text: string): Value {
  const keys: string[] = [];
  let key = "";
  const end = () => {
    if (key) keys.push(key);
    key = "";
  };
  for (let i = 0; i < text.length; i++) {
    let c = text[i]!;
    if (c == "\\") {
      c = text[++i]!;
      if (c == "[" || c == "]") end();
      else key += c;
    } else if (/[.\s]/.test(c)) end();
    else if (c == "[") {
      end();
      const quote = text[i + 1]!;
      if (quote == '"' || quote == "'") {
        const close = text.indexOf(quote, i + 2);
        keys.push(text.slice(i + 2, close));
        i = close + 1;
      }
    } else if (c == "]") end();
    else key += c;
  }
  end();
  return keys.length == 1 ? keys[0]! : keys;
}

/** The tree of a trigger. */
export function parse(trigger: string): Tree {
  const all = tokens(trigger);
  let at = 0;
  const is = (text: string) => all[at]?.text == text && all[at]!.kind != "text";
  const take = () => all[at++]!;
  const expect = (text: string) => {
    if (!is(text)) throw new Error(`expected ${text} in ${trigger}`);
    at++;
  };
  const joined = (word: "and" | "or", next: () => Tree): Tree => {
    const nodes = [next()];
    while (is(word)) take(), nodes.push(next());
    return nodes.length == 1 ? nodes[0]! : [word, ...nodes];
  };
  const or = () => joined("or", and);
  const and = () => joined("and", unary);
  const unary = (): Tree => {
    if (!is("!")) return primary();
    take();
    const bare = is("contains") || is("match");
    const node = unary();
    return bare && !node[0].startsWith("!") ? ["!" + node[0], ...node.slice(1)] : ["not", node];
  };
  const primary = (): Tree => {
    if (is("(")) {
      take();
      const node = or();
      expect(")");
      return node;
    }
    const name = take();
    if (is("(")) {
      take();
      const field = path(take().text);
      expect(",");
      const literal = value(take());
      expect(")");
      const text = String(literal);
      if (name.text == "contains") return ["contains", field, text];
      return text.endsWith("*") ? ["starts", field, text.slice(0, -1)] : ["ends", field, text.slice(1)];
    }
    return comparison(path(name.text), take().text, value(take()));
  };
  const node = or();
  if (at < all.length) throw new Error("more than a condition: " + trigger);
  return node;
}

function value({ kind, text }: Token): Value {
  if (kind == "text") return text;
  const words: { [word: string]: Value } = { true: true, false: false, null: null };
  return text in words ? words[text] : Number(text);
}

function comparison(field: Value, operator: string, literal: Value): Tree {
  const single = typeof field == "string";
  const text = ["type", "event", "name"].includes(field as string);
  if (operator != "=" && operator != "!=") return [operator, field, Number(literal)];
  if (typeof literal == "number") {
    if (single) return [operator, field, String(literal)];
    return operator == "=" ? ["=", field, literal] : ["<>", field, literal];
  }
  if (typeof literal == "boolean" && (text || operator == "!=")) return [operator, field, String(literal)];
  return [operator, field, literal];
}
