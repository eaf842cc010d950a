/** Where the requests of one burst should go, so that equal prompts meet and the load stays even. */

/** A request of the burst: hashes of its prompt's blocks, and its candidates. */
export interface BurstMember {
  readonly blocks: readonly number[];
}

/** A replica that requests can be placed on, with what breaks ties. */
export interface Replica {
  readonly slot: number;
  readonly running: number;
  readonly name: string;
}

/** Rules of placement. */
export interface PlacementRules {
  /** Requests of a group on one replica, at most; -1: any number. */
  readonly maxPerReplica: number;
  /** Shared leading blocks from which different prompts are placed together; 0: only equal ones. */
  readonly minColocateBlocks: number;
  readonly balanceBy: "requests" | "tokens";
}

interface Unit {
  readonly members: readonly number[];
  readonly blocks: readonly number[];
}

interface Place extends Replica {
  load: number;
  readonly held: (readonly number[])[];
}

const headOf = (blocks: readonly number[], length: number): string => blocks.slice(0, length).join(",");

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function groupBy(members: readonly BurstMember[], positions: readonly number[], key: (member: BurstMember) => string) {
  const groups = new Map<string, number[]>();
  for (const position of positions) {
    const member = members[position];
    if (member === undefined) continue;
    const id = key(member);
    groups.set(id, [...(groups.get(id) ?? []), position]);
  }
  return [...groups.values()];
}

/** Groups of equal prompts, then single ones that share their head with others; long ones first. */
function unitsOf(members: readonly BurstMember[], head: number): Unit[] {
  const filled = [...members.keys()].filter((position) => (members[position]?.blocks.length ?? 0) > 0);
  const unit = (positions: readonly number[]): Unit => ({
    members: positions,
    blocks: members[positions[0] ?? 0]?.blocks ?? [],
  });
  const equal = groupBy(members, filled, ({ blocks }) => headOf(blocks, blocks.length));
  const groups = equal.filter(({ length }) => length > 1).map(unit);
  const long = filled.filter((position) => head > 0 && (members[position]?.blocks.length ?? 0) >= head);
  const sharing = groupBy(members, long, ({ blocks }) => headOf(blocks, head)).filter(({ length }) => length > 1);
  const shared = new Set(sharing.flat());
  const singles = equal.filter(({ length, 0: first }) => length === 1 && shared.has(first ?? -1)).map(unit);
  const byLength = (a: Unit, b: Unit): number => b.blocks.length - a.blocks.length;
  return [...groups.toSorted(byLength), ...singles.toSorted(byLength)];
}

const byLoad = (a: Place, b: Place): number =>
  a.load - b.load || a.running - b.running || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

const longestHeld = (place: Place, blocks: readonly number[]): number =>
  Math.max(0, ...place.held.map((held) => commonPrefix(held, blocks)));

/** Slot for each member; -1 where the burst gives no reason to prefer one. */
export function placeBurst(
  members: readonly BurstMember[],
  replicas: readonly Replica[],
  rules: PlacementRules,
): number[] {
  const slots = members.map(() => -1);
  const places: Place[] = replicas.map((replica) => ({ ...replica, load: 0, held: [] }));
  const units = unitsOf(members, rules.minColocateBlocks);
  const weight = ({ members: own, blocks }: Unit): number =>
    rules.balanceBy === "requests" ? own.length : blocks.length;
  const total = units.reduce((sum, unit) => sum + weight(unit), 0);
  const share = Math.ceil(total / Math.max(1, places.length));
  for (const unit of units) placeUnit(unit, places, share, rules, slots);
  return slots;
}

function placeUnit(unit: Unit, places: Place[], share: number, rules: PlacementRules, slots: number[]): void {
  const placed = new Map<Place, number>();
  const limit = rules.maxPerReplica > 0 ? rules.maxPerReplica : Infinity;
  let place = firstPlace(unit, places, share, rules);
  for (const member of unit.members) {
    if (place === undefined) return;
    if ((placed.get(place) ?? 0) >= limit) {
      const open = places.filter((other) => (placed.get(other) ?? 0) < limit);
      place = (open.length > 0 ? open : places).toSorted(byLoad)[0];
    }
    if (place === undefined) return;
    slots[member] = place.slot;
    if (rules.balanceBy === "requests") place.load++;
    else if (!placed.has(place)) place.load += unit.blocks.length - longestHeld(place, unit.blocks);
    if (!placed.has(place)) place.held.push(unit.blocks);
    placed.set(place, (placed.get(place) ?? 0) + 1);
  }
}

function firstPlace(
  { blocks }: Unit,
  places: readonly Place[],
  share: number,
  { minColocateBlocks: m }: PlacementRules,
) {
  const near = places.filter((place) => m > 0 && place.load < share && longestHeld(place, blocks) >= m);
  const order = near.toSorted((a, b) => longestHeld(b, blocks) - longestHeld(a, blocks) || byLoad(a, b));
  return order[0] ?? places.toSorted(byLoad)[0];
}
