/**
 * Sets of texts by a text. Most hold one member, which costs no set: with thousands of objects under several values each
 * that is most of the memory.
 */
export class MultiMap {
  readonly #members = new Map<string, string | Set<string>>();

  /** Members of the set of that name, in the order in which they came. */
  of(name: string): Iterable<string> {
    const members = this.#members.get(name);
    if (members === undefined) return [];
    return typeof members === "string" ? [members] : members;
  }

  /** Whether the set of that name has a member. */
  has(name: string): boolean {
    return this.#members.has(name);
  }

  /** Adds a member; one that is there stays. */
  add(name: string, member: string): void {
    const members = this.#members.get(name);
    if (members === undefined) this.#members.set(name, member);
    else if (typeof members !== "string") members.add(member);
    else if (members !== member) this.#members.set(name, new Set([members, member]));
  }

  /** Removes a member, if it is there. */
  delete(name: string, member: string): void {
    const members = this.#members.get(name);
    if (members === undefined) return;
    if (typeof members === "string") {
      if (members === member) this.#members.delete(name);
      return;
    }
    members.delete(member);
    if (members.size === 0) this.#members.delete(name);
  }
}
