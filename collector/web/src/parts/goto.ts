/** Opens a page of ours. */
export function goto(hash: string): void {
  location.hash = hash;
}
