import { connect, createServer, type Socket } from "node:net";

/** A TCP relay on a loopback port whose connections can be cut or held up. */
export interface CutProxy {
  readonly port: number;
  /** Resets all connections, and returns how many there were. */
  cut(): number;
  /** From now on bytes of all connections, new ones included, are held up, until `release`. */
  hold(): void;
  /** Lets bytes through again. */
  release(): void;
  close(): Promise<void>;
}

/** Relays connections to `targetPort` on the loopback address. */
export async function startCutProxy(targetPort: number): Promise<CutProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let held = false;
  const cut = (): number => {
    const count = pairs.size;
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    return count;
  };
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
    const pair = [near, far] as const;
    pairs.add(pair);
    const forget = (): void => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on("error", forget).on("close", forget);
    near.pipe(far);
    far.pipe(near);
    if (held) for (const socket of pair) hold(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    cut,
    hold: () => {
      held = true;
      for (const pair of pairs) for (const socket of pair) hold(socket);
    },
    release: () => {
      if (!held) return;
      held = false;
      for (const [near, far] of pairs) {
        near.pipe(far);
        far.pipe(near);
      }
    },
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function hold(socket: Socket): void {
  socket.unpipe();
  socket.pause();
}
