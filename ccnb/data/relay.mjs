// Passes connections on from a loopback port of the place to the egress proxy's socket, which is all the
// network that a place with a list of hosts has. CCNB_RELAY holds the port and the socket's path.
//
// Runs by node, and by the claude program itself (see supervisor.sh): hence a module that never ends, and a
// file that says when it listens.
import fs from "node:fs";
import net from "node:net";

const [, port, path] = process.env.CCNB_RELAY.match(/^(\d+) (.+)$/);

function pass(near) {
  const far = net.connect({ path, allowHalfOpen: true });
  near.pipe(far);
  far.pipe(near);
  near.on("error", () => far.destroy());
  far.on("error", () => near.destroy());
}

const server = net.createServer({ allowHalfOpen: true }, pass);
server.listen(Number(port), "127.0.0.1", () => {
  fs.writeFileSync(new URL("relay.ready", import.meta.url), "");
});

await new Promise(() => {});
