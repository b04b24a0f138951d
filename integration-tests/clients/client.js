// libuv, whose sockets are always non-blocking: `node client.js SOCKET PORT`.
const net = require("node:net");

const echo = (target) =>
  new Promise((resolve, reject) => {
    const socket = net.connect(target, () => socket.write("ping"));
    socket.once("data", (data) => {
      resolve(data.toString());
      socket.end();
    });
    socket.once("error", reject);
  });

async function main() {
  const [path, port] = [process.argv[2], Number(process.argv[3])];
  console.log("libuv unix", await echo({ path }));
  console.log("libuv tcp", await echo({ port, host: "127.0.0.1" }));
  const many = await Promise.all(Array.from({ length: 50 }, () => echo({ path })));
  console.log("libuv many", many.filter((answer) => answer === "ping").length);
}

main().catch((error) => {
  console.log(error.code);
  process.exitCode = 1;
});
