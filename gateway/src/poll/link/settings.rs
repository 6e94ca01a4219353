//! The only thing that the gateway may write: the settings of a Davy node (function 16).

use register_map::{CHANNEL_SETTINGS_CONTENT, DESK, DESK_WORDS, MAX_CHANNELS, SETTINGS, SETTINGS_CONTENT, channel_settings_address};

/// Registers of a Davy node's settings, and what is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsWrite {
    address: u16,
    words: Vec<u16>,
}

impl SettingsWrite {
    /// `None` when any of it lies outside what can be written of the settings, or in two blocks.
    pub fn of(address: u16, words: &[u16]) -> Option<SettingsWrite> {
        let channels = (0..MAX_CHANNELS).map(|channel| (channel_settings_address(channel), CHANNEL_SETTINGS_CONTENT));
        let blocks = [(SETTINGS, SETTINGS_CONTENT), (DESK, DESK_WORDS)].into_iter().chain(channels);
        let end = usize::from(address) + words.len();
        let is_inside = |(first, count): (u16, usize)| address >= first && end <= usize::from(first) + count;
        let is_allowed = !words.is_empty() && blocks.into_iter().any(is_inside);
        is_allowed.then(|| SettingsWrite { address, words: words.to_vec() })
    }

    /// Function and data (application protocol 6.12).
    pub fn body(&self) -> Vec<u8> {
        let mut body = self.echo();
        body.push(self.words.len() as u8 * 2);
        body.extend(self.words.iter().flat_map(|word| word.to_be_bytes()));
        body
    }

    /// How a device says that it has done so: function, address and count.
    pub fn echo(&self) -> Vec<u8> {
        let ([a, b], [c, d]) = (self.address.to_be_bytes(), (self.words.len() as u16).to_be_bytes());
        vec![super::frame::WRITE, a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_settings_can_be_written() {
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|address| SettingsWrite::of(*address, &[0]).is_some()).collect();
        let channels = (0..register_map::MAX_CHANNELS).flat_map(|channel| (0..63).map(move |place| 0x0500 + channel * 64 + place));
        assert!(allowed.iter().copied().eq((0x0400..0x0407).chain(0x0410..0x0420).chain(channels)));
    }

    #[test]
    fn a_write_lies_within_one_block_and_is_not_empty() {
        assert!(SettingsWrite::of(0x0500, &[0; 63]).is_some());
        assert!(SettingsWrite::of(0x0500, &[0; 64]).is_none());
        assert!(SettingsWrite::of(0x0401, &[0; 7]).is_none());
        assert!(SettingsWrite::of(0x0400, &[]).is_none());
        assert!(SettingsWrite::of(0xFFFF, &[0; 2]).is_none());
    }
}
