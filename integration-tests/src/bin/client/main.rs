//! The standard library's blocking sockets, then tokio's: `nono-client SOCKET PORT`.

use std::io::{self, Read, Write};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

fn blocking(mut stream: impl Read + Write) -> io::Result<String> {
    let mut answer = [0; 4];
    stream.write_all(b"ping")?;
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<String> {
    let mut answer = [0; 4];
    stream.write_all(b"ping").await?;
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn tokio(path: &str, tcp: (&str, u16)) -> io::Result<()> {
    println!("tokio unix {}", echo(tokio::net::UnixStream::connect(path).await?).await?);
    println!("tokio tcp {}", echo(tokio::net::TcpStream::connect(tcp).await?).await?);
    let mut many = Vec::new();
    for _ in 0..50 {
        let path = path.to_owned();
        many.push(tokio::spawn(
            async move { echo(tokio::net::UnixStream::connect(path).await?).await },
        ));
    }
    let mut right = 0;
    for one in many {
        right += usize::from(one.await.map_err(io::Error::other)?? == "ping");
    }
    println!("tokio many {right}");
    Ok(())
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, port] = &args[..] else {
        return Err(io::Error::other("usage: nono-client SOCKET PORT"));
    };
    let tcp = ("127.0.0.1", port.parse().map_err(io::Error::other)?);
    println!("blocking unix {}", blocking(std::os::unix::net::UnixStream::connect(path)?)?);
    println!("blocking tcp {}", blocking(std::net::TcpStream::connect(tcp)?)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(tokio(path, tcp))
}
