// Pure: slips that can be told before the collector is asked. The collector checks again, and decides.

/** The form of a unified social credit code (GB 32100): 18 characters, no I, O, S, V, Z. */
export const isUscc = (code: string) => /^[0-9A-HJ-NP-RTUW-Y]{18}$/.test(code);

/** A gateway's id is part of its topics (DESIGN.md 5.2). */
export const isGatewayId = (id: string) => /^[a-z0-9-]{1,32}$/.test(id);

/** What a person types on the new gateway. The code and id are quoted only if a shell would mind them. */
export function enrolCommand(url: string, code: string, gateway: string): string {
  const quoted = (word: string) => (/^[A-Za-z0-9._:/@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
  return `davy-gateway enrol --url ${quoted(url)} --code ${quoted(code)} --gateway ${quoted(gateway)}`;
}
