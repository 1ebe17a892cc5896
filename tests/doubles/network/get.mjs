// get.mjs URL CA: print what a host says, asked as programs ask: by a tunnel through the proxy that the
// variable HTTPS_PROXY names, TLS in it. A refusal is printed as the proxy words it.
import fs from "node:fs";
import http from "node:http";
import https from "node:https";

const [url, ca] = process.argv.slice(2);
const { host } = new URL(url);
const proxy = new URL(process.env.HTTPS_PROXY);
const asked = http.request({
  agent: new http.Agent(),
  headers: { "Proxy-Authorization": `Basic ${btoa(`${proxy.username}:${proxy.password}`)}` },
  host: proxy.hostname,
  method: "CONNECT",
  path: host.includes(":") ? host : `${host}:443`,
  port: proxy.port,
});
asked.on("connect", (answer, socket) => {
  if (answer.statusCode !== 200) {
    console.log(`${answer.statusCode} ${answer.statusMessage}`);
    socket.destroy();
    return;
  }
  https
    .get(url, { agent: false, ca: fs.readFileSync(ca), socket }, (reply) => reply.pipe(process.stdout))
    .on("error", (error) => console.log(error.code));
});
asked.on("error", (error) => console.log(error.code));
asked.end();
