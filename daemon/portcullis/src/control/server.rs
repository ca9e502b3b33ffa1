//! The socket file, and the thread behind it, which serves a bounded number of clients at once. None of them can hold up
//! another for longer than a write may take.

use super::Handler;
use super::commands::answer;
use super::protocol::{Framed, Hello, MAX_REQUEST, Reply, frame};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Most clients at once; a further one is turned away with a message.
const MAX_CLIENTS: usize = 16;

/// How long a client may take to read an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// The socket is for its owner and group.
const PERMISSIONS: u32 = 0o660;

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Somebody answers there.
    #[error("another daemon answers on the control socket {0}")]
    InUse(PathBuf),
    /// Not ours to remove.
    #[error("{0} is in the way of the control socket and is no socket")]
    NotASocket(PathBuf),
    /// Anything else.
    #[error("cannot open the control socket {path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The socket and its file, which dropping it removes.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    /// Device and inode of the file that was made, so that another daemon's is never removed.
    identity: (u64, u64),
    listener: UnixListener,
}

impl ControlSocket {
    /// Opens the socket, making its folder where that is missing. A socket file that nobody answers on is
    /// replaced.
    ///
    /// # Errors
    /// Where somebody else has the path or the system refuses.
    pub fn open(path: &Path) -> Result<Self, ServerError> {
        let io = |source: std::io::Error| ServerError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        clear_the_way(path)?;
        let listener = open(path).map_err(|error| io(error.into()))?;
        let metadata = std::fs::symlink_metadata(path).map_err(io)?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), identity, listener })
    }

    /// What clients come by, for whoever serves them.
    #[must_use]
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A running server; dropping it ends the thread.
#[derive(Debug)]
pub struct Server {
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a thread that serves who comes by `listener`.
    ///
    /// # Errors
    /// The system's.
    pub fn start(listener: UnixListener, handler: impl Handler) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (stop, stopped) = UnixStream::pair()?;
        let service = Service { listener, stopped, clients: Vec::new(), handler, started: Instant::now() };
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(move || service.run())?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.write_all(b"x");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Removes a socket file that nobody answers on.
fn clear_the_way(path: &Path) -> Result<(), ServerError> {
    let io = |source: std::io::Error| ServerError::Io { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ServerError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ServerError::InUse(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(io),
        Err(error) => Err(io(error)),
    }
}

/// Binds a listener whose file never exists with wider permissions than it shall have: Linux takes
/// them from the socket (unix(7), "Pathname socket ownership and permissions"), less the umask.
fn open(path: &Path) -> rustix::io::Result<UnixListener> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(PERMISSIONS))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::fs::chmod(path, Mode::from_raw_mode(PERMISSIONS))?;
    listen(&socket, i32::try_from(MAX_CLIENTS).unwrap_or(i32::MAX))?;
    Ok(UnixListener::from(socket))
}

struct Service<H> {
    listener: UnixListener,
    stopped: UnixStream,
    clients: Vec<Client>,
    handler: H,
    started: Instant,
}

struct Client {
    stream: UnixStream,
    /// Received and not yet answered; at most [`MAX_REQUEST`] and one read.
    pending: Vec<u8>,
    greeted: bool,
}

impl<H: Handler> Service<H> {
    fn run(mut self) {
        loop {
            let ready = match self.wait() {
                Ok(ready) => ready,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => {
                    tracing::error!("the control socket is closed: {error}");
                    return;
                }
            };
            if ready.stop {
                return;
            }
            // From the last on, so that removing one does not move those still to come.
            for index in ready.clients.into_iter().rev() {
                if !self.serve(index) {
                    self.clients.swap_remove(index);
                }
                // Whoever comes by the listener from now on is another's.
                if self.handler.is_over() {
                    return;
                }
            }
            if ready.listener {
                self.accept();
            }
        }
    }

    fn wait(&self) -> rustix::io::Result<Ready> {
        let mut fds =
            vec![PollFd::new(&self.stopped, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
        fds.extend(self.clients.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)));
        poll(&mut fds, None)?;
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        Ok(Ready {
            stop: ready.next().unwrap_or(true),
            listener: ready.next().unwrap_or(false),
            clients: ready.enumerate().filter_map(|(index, ready)| ready.then_some(index)).collect(),
        })
    }

    fn accept(&mut self) {
        // A client that went away between knocking and opening is no trouble.
        let Ok((mut stream, _)) = self.listener.accept() else { return };
        let prepared =
            stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)));
        if prepared.is_err() {
            return;
        }
        if self.clients.len() == MAX_CLIENTS {
            let _ = stream.write_all(&Reply::refused("too many clients").line());
            return;
        }
        self.clients.push(Client { stream, pending: Vec::new(), greeted: false });
    }

    /// Reads once, which does not block after poll, and answers what is whole. `false` when the
    /// client is done with.
    fn serve(&mut self, index: usize) -> bool {
        let Some(client) = self.clients.get_mut(index) else { return true };
        let mut chunk = [0; 4096];
        let got = match client.stream.read(&mut chunk) {
            Ok(0) => return false,
            Ok(got) => got,
            Err(error) => return matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock),
        };
        client.pending.extend_from_slice(chunk.get(..got).unwrap_or(&[]));
        loop {
            match frame(&client.pending) {
                Framed::Message(message, taken) => {
                    client.pending.drain(..taken);
                    let reply = if client.greeted {
                        answer(message, &mut self.handler, self.started)
                    } else {
                        client.greeted = true;
                        greet(message)
                    };
                    let stay = client.stream.write_all(&reply.line()).is_ok();
                    if !stay {
                        return false;
                    }
                }
                Framed::Partial if client.pending.len() > MAX_REQUEST => {
                    let reply = Reply::refused(format!("a message has at most {MAX_REQUEST} bytes"));
                    let _ = client.stream.write_all(&reply.line());
                    return false;
                }
                Framed::Partial => return true,
                Framed::Garbage(reason) => {
                    let reply = Reply::refused(format!("a message must be JSON: {reason}"));
                    let _ = client.stream.write_all(&reply.line());
                    return false;
                }
            }
        }
    }
}

struct Ready {
    stop: bool,
    listener: bool,
    clients: Vec<usize>,
}

fn greet(message: serde_json::Value) -> Reply {
    match serde_json::from_value::<Hello>(message) {
        Ok(hello) if hello.is_known() => Reply::ok(serde_json::Value::Null),
        Ok(hello) => Reply::refused(format!("protocol version {:?} is not known", hello.version)),
        Err(error) => Reply::refused(format!("the first message must be a version: {error}")),
    }
}
