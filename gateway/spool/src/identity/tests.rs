use super::*;
use crate::example::{BLOCK, disk, hex};
use crate::simulated::{Dice, SimulatedDisk};

const IDENTITY: Identity = Identity { epoch: 0x0102_0304_0506_0708, holder: 9, base: 0x0A0B };

#[test]
fn an_identity_has_these_bytes() {
    assert_eq!(hex(&IDENTITY.encode()), "4441565953504c31080706050403020109000000000000000b0a000000000000d94dc56b");
}

#[test]
fn an_identity_with_a_changed_byte_is_none() {
    for at in 0..BYTES {
        let mut bytes = IDENTITY.encode();
        bytes[at] ^= 4;
        assert_eq!(Identity::decode(&bytes), None, "byte {at}");
    }
}

#[test]
fn a_power_cut_leaves_the_old_identity_or_the_new_one() {
    let newer = Identity { epoch: 2, ..IDENTITY };
    for operations in 0..6 {
        for seed in 0..16 {
            let disk = disk();
            IDENTITY.store(&disk, &mut Vec::new()).unwrap();
            disk.power_off_in(operations);
            let done = newer.store(&disk, &mut Vec::new()).is_ok();
            let found = Identity::load(&disk.after_power_cut(&mut Dice::new(seed))).unwrap();
            assert!(found == Some(newer) || !done && found == Some(IDENTITY), "{found:?} after {operations} operations");
        }
    }
}

#[test]
fn on_a_full_disk_the_identity_takes_the_place_of_a_spare() {
    let disk = SimulatedDisk::new(2 * BLOCK);
    let mut spares: Vec<String> = ["spare-0", "spare-1"].map(str::to_owned).into();
    spares.iter().for_each(|name| drop(disk.create(name, 512).unwrap()));
    IDENTITY.store(&disk, &mut spares).unwrap();
    let after = disk.after_power_cut(&mut Dice::new(1));
    assert_eq!((Identity::load(&after).unwrap(), spares.len()), (Some(IDENTITY), 1));
}
