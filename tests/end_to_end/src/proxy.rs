//! A cable between two programs that a test may cut: a TCP relay on a loopback port.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The cable.
pub struct Cable {
    address: SocketAddr,
    whole: Arc<watch::Sender<bool>>,
}

impl Cable {
    /// A whole cable to `far`, `host:port`.
    pub async fn to(far: String) -> Result<Cable> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let cable = Cable { address: listener.local_addr()?, whole: Arc::new(watch::channel(true).0) };
        let whole = cable.whole.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (far, mut state) = (far.clone(), whole.subscribe());
                tokio::spawn(async move {
                    if !*state.borrow() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(far).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Ok(cable)
    }

    /// The near end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts it: every connection ends, none can be made.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// And mends it.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}
