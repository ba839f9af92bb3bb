// XML as EC2 answers: lists are `<item>`s.

/** A value of an answer. */
export type Xml = string | readonly Xml[] | { readonly [name: string]: Xml };

/** A document with one element. */
export function xmlOf(name: string, value: Xml): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element(name, value)}`;
}

function element(name: string, value: Xml): string {
  return `<${name}>${content(value)}</${name}>`;
}

function content(value: Xml): string {
  if (typeof value === "string") {
    return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  }
  if (isList(value)) return value.map((item) => element("item", item)).join("");
  return Object.entries(value)
    .map(([name, inner]) => element(name, inner))
    .join("");
}

function isList(value: Xml): value is readonly Xml[] {
  return Array.isArray(value);
}
