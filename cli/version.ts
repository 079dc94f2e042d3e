/** The version, the same as in deno.json; a check compares them. */
export const VERSION: string = "0.1.0";
