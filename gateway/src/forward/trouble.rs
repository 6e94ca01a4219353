//! Why nothing reaches the collector, as a person is told: pure. A connection says only that the broker is there; that
//! the collector behind it is well, only its acknowledgement says.

/// What is wrong with the way to the broker, and with the collector behind it.
#[derive(Debug, Default)]
pub struct Trouble {
    connection: Option<String>,
    collector: Option<String>,
}

impl Trouble {
    /// The connection is lost, or cannot be made. True when a person has not been told so already.
    pub fn lost(&mut self, why: String) -> bool {
        is_news(&mut self.connection, why)
    }

    /// The broker is there, or nobody looks for it now.
    pub fn connected(&mut self) {
        self.connection = None;
    }

    /// The collector does not take what is sent. True when a person has not been told so already.
    pub fn blamed(&mut self, why: String) -> bool {
        is_news(&mut self.collector, why)
    }

    /// The collector has what it was sent.
    pub fn acknowledged(&mut self) {
        self.collector = None;
    }

    /// In one sentence: what must be mended first.
    pub fn told(&self) -> Option<&str> {
        self.connection.as_deref().or(self.collector.as_deref())
    }
}

fn is_news(said: &mut Option<String>, why: String) -> bool {
    said.replace(why) != *said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_ends_the_trouble_of_the_way_and_not_that_of_the_collector() {
        let mut trouble = Trouble::default();
        assert!(trouble.blamed("it acknowledges nothing".to_owned()));
        assert!(trouble.lost("no road".to_owned()));
        assert!(!trouble.lost("no road".to_owned()), "told once");
        assert_eq!(trouble.told(), Some("no road"));
        trouble.connected();
        assert_eq!(trouble.told(), Some("it acknowledges nothing"));
        trouble.acknowledged();
        assert_eq!(trouble.told(), None);
    }
}
