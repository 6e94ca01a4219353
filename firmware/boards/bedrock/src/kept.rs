//! Memory that the start-up code leaves alone, so that it outlives a reset. What it holds after power came on is anybody's guess;
//! whoever keeps something in it checks it.

/// What any bits are a value of.
///
/// # Safety
/// Every pattern of bits must be a value of the type.
pub unsafe trait AnyBits {}

// SAFETY: integers have no invalid patterns.
unsafe impl<const N: usize> AnyBits for [u32; N] {}
// SAFETY: as above.
unsafe impl<const N: usize> AnyBits for [u8; N] {}

/// Gives, once, memory of this type that outlives a reset: `kept!([u32; 8])` is an `Option<&'static mut [u32; 8]>`.
#[macro_export]
macro_rules! kept {
    ($type:ty) => {{
        use core::mem::MaybeUninit;
        use core::sync::atomic::{AtomicBool, Ordering};
        const fn holds_any_bits<T: $crate::kept::AnyBits>() {}
        const { holds_any_bits::<$type>() };
        #[cfg_attr(target_os = "none", unsafe(link_section = ".uninit.kept"))]
        static mut KEPT: MaybeUninit<$type> = MaybeUninit::uninit();
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            None
        } else {
            // SAFETY: given once, so that there is one reference; any bits are a value. The black box keeps the compiler from
            // reasoning about what memory holds that nothing in the program has written.
            Some(unsafe { (*core::hint::black_box(core::ptr::addr_of_mut!(KEPT))).assume_init_mut() })
        }
    }};
}

#[cfg(test)]
mod tests {
    fn words() -> Option<&'static mut [u32; 4]> {
        crate::kept!([u32; 4])
    }

    #[test]
    fn it_is_given_once() {
        let words = words();
        assert!(words.is_some_and(|words| words.len() == 4));
        assert!(super::tests::words().is_none());
    }
}
