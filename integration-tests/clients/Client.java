import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousSocketChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;

/** Blocking sockets, then NIO with a selector: {@code java Client.java SOCKET PORT}. */
class Client {
    static final byte[] PING = "ping".getBytes();

    static String blocking(SocketAddress address) throws IOException {
        try (var channel = SocketChannel.open(address)) {
            channel.write(ByteBuffer.wrap(PING));
            var answer = ByteBuffer.allocate(PING.length);
            while (answer.hasRemaining() && channel.read(answer) >= 0) {}
            return new String(answer.array());
        }
    }

    static String selected(SocketChannel channel, SocketAddress address) throws IOException {
        try (channel; var selector = Selector.open()) {
            channel.configureBlocking(false);
            var answer = ByteBuffer.allocate(PING.length);
            var connected = channel.connect(address);
            channel.register(selector, connected ? SelectionKey.OP_READ : SelectionKey.OP_CONNECT);
            if (connected) {
                channel.write(ByteBuffer.wrap(PING));
            }
            while (answer.hasRemaining()) {
                selector.select();
                for (var key : selector.selectedKeys()) {
                    if (key.isConnectable() && channel.finishConnect()) {
                        key.interestOps(SelectionKey.OP_READ);
                        channel.write(ByteBuffer.wrap(PING));
                    } else if (key.isReadable() && channel.read(answer) < 0) {
                        return "end";
                    }
                }
                selector.selectedKeys().clear();
            }
            return new String(answer.array());
        }
    }

    static String asynchronous(SocketAddress address) throws Exception {
        try (var channel = AsynchronousSocketChannel.open()) {
            channel.connect(address).get();
            channel.write(ByteBuffer.wrap(PING)).get();
            var answer = ByteBuffer.allocate(PING.length);
            while (answer.hasRemaining() && channel.read(answer).get() >= 0) {}
            return new String(answer.array());
        }
    }

    static String plain(int port) throws IOException {
        try (var socket = new Socket("127.0.0.1", port)) {
            socket.getOutputStream().write(PING);
            return new String(socket.getInputStream().readNBytes(PING.length));
        }
    }

    public static void main(String[] args) throws Exception {
        var unix = UnixDomainSocketAddress.of(args[0]);
        var port = Integer.parseInt(args[1]);
        var tcp = new InetSocketAddress("127.0.0.1", port);
        System.out.println("socket tcp " + plain(port));
        System.out.println("blocking unix " + blocking(unix));
        System.out.println("blocking tcp " + blocking(tcp));
        var channel = SocketChannel.open(java.net.StandardProtocolFamily.UNIX);
        System.out.println("selector unix " + selected(channel, unix));
        System.out.println("selector tcp " + selected(SocketChannel.open(), tcp));
        System.out.println("asynchronous tcp " + asynchronous(tcp));
    }
}
