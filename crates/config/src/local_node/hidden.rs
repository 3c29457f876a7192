//! Directories that the protection of a systemd unit hides from the relay.

/// Directories with the homes of users, which `ProtectHome=` hides.
const HOMES: [&str; 2] = ["/home", "/root"];

/// A sentence if homes of users are hidden, according to `/proc/self/mountinfo`.
pub(super) fn hidden(mounts: &str) -> Option<String> {
    let is_hidden = |line: &str| {
        // `ID PARENT MAJOR:MINOR ROOT MOUNT_POINT OPTIONS … - TYPE SOURCE SUPER_OPTIONS` (proc_pid_mountinfo(5)).
        let mut words = line.split(' ');
        let (root, point) = (words.nth(3)?, words.next()?);
        let kind = line.split_once(" - ")?.1.split(' ').next()?;
        // `ProtectHome=yes` mounts an inaccessible directory over the homes, and `tmpfs` an empty file system.
        let covers = root.contains("systemd/inaccessible") || (kind == "tmpfs" && root == "/");
        HOMES.into_iter().find(|home| *home == point).filter(|_| covers)
    };
    let found: Vec<_> = mounts.lines().filter_map(is_hidden).collect();
    (!found.is_empty()).then(|| {
        format!(
            "the protection of the systemd unit (ProtectHome=) hides {} from the relay: a node that keeps its data there is not found; \
             set bitcoin_core.user and bitcoin_core.password, or move its cookie file (rpccookiefile= in bitcoin.conf) to a place that the relay may read",
            found.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_protect_home_hides_is_named() {
        let line = |root: &str, point: &str, kind: &str| {
            format!("36 35 98:0 {root} {point} ro,nosuid master:1 - {kind} /dev/root rw\n")
        };
        let plain = line("/", "/", "ext4") + &line("/", "/home", "ext4") + &line("/root", "/rootfs", "tmpfs");
        assert_eq!(hidden(&plain), None);
        let yes =
            line("/systemd/inaccessible/dir", "/home", "tmpfs") + &line("/systemd/inaccessible/dir", "/root", "tmpfs");
        let sentence = hidden(&(plain.clone() + &yes)).unwrap();
        assert!(
            sentence.contains("(ProtectHome=) hides /home and /root from"),
            "{sentence}"
        );
        let empty = hidden(&(plain + &line("/", "/home", "tmpfs"))).unwrap();
        assert!(empty.contains("hides /home from"), "{empty}");
        assert_eq!(hidden("garbage\n\n"), None);
    }
}
