import { type Server, createServer } from "node:net";

/** Port on which the holder of a network listens, on its last address, so that another playground takes another one. */
const LOCK_PORT = 39_127;
const FIRST_OCTET = 16;
const LAST_OCTET = 250;

/** Addresses of the pods of one playground. */
export interface AddressNetwork {
  /** An address that no pod has; addresses given back come round last. */
  allocate(): string;
  release(address: string): void;
  close(): Promise<void>;
}

/**
 * Claims a loopback network `127.N.0.0/16` that no other playground on this machine holds. Linux answers on all of
 * 127.0.0.0/8 without set-up. Throws when every network is taken.
 */
export async function claimNetwork(random: () => number = Math.random): Promise<AddressNetwork> {
  const count = LAST_OCTET - FIRST_OCTET + 1;
  const start = Math.floor(random() * count);
  for (let step = 0; step < count; step++) {
    const octet = FIRST_OCTET + ((start + step) % count);
    const lock = await tryListen(`127.${octet}.255.254`);
    if (lock !== undefined) return createNetwork(`127.${octet}`, () => close(lock));
  }
  throw new Error("no loopback network 127.N.0.0/16 is free: end another playground on this machine");
}

function tryListen(host: string): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(undefined));
    server.listen({ host, port: LOCK_PORT }, () => resolve(server.unref()));
  });
}

function close(lock: Server): Promise<void> {
  return new Promise((resolve) => lock.close(() => resolve()));
}

/** The network `prefix.0.0/16`, where `prefix` is two octets, for callers that made it local and hold it alone. */
export function createNetwork(prefix: string, close: () => Promise<void> = async () => undefined): AddressNetwork {
  const free: string[] = [];
  const taken = new Set<string>();
  let next = 10;
  return {
    allocate: () => {
      const address = next < 0xff00 ? `${prefix}.${next >> 8}.${next++ & 0xff}` : free.shift();
      if (address === undefined) throw new Error("all pod addresses of this playground are in use");
      taken.add(address);
      return address;
    },
    release: (address) => {
      if (taken.delete(address)) free.push(address);
    },
    close,
  };
}
