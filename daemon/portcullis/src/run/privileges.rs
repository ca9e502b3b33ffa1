//! How the gate gives up its privileges. Those of Linux belong to a thread and go on to the threads that it starts; so
//! this is done by each thread that had them, before it starts others that are to have none.

use crate::config::RunAsConfig;
use crate::exit::Failure;
use nix::unistd::{Group, User};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

/// Whom to go on as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    user: Option<Uid>,
    group: Option<Gid>,
}

impl Identity {
    /// Finds the user and the group that are named; a user's own group where none is.
    ///
    /// # Errors
    /// There is no such user or group.
    pub(crate) fn find(wanted: &RunAsConfig) -> Result<Self, Failure> {
        let unknown =
            |what: &str, name: &str| Failure::Input(format!("run-as.{what}: there is no {what} {name:?}"));
        let user = match &wanted.user {
            Some(name) => {
                let found = User::from_name(name).ok().flatten();
                Some(found.ok_or_else(|| unknown("user", name))?)
            }
            None => None,
        };
        let group = match &wanted.group {
            Some(name) => {
                let found = Group::from_name(name).ok().flatten();
                Some(found.ok_or_else(|| unknown("group", name))?.gid)
            }
            None => user.as_ref().map(|user| user.gid),
        };
        Ok(Self {
            user: user.map(|user| Uid::from_raw(user.uid.as_raw())),
            group: group.map(|group| Gid::from_raw(group.as_raw())),
        })
    }

    /// Gives up all privileges of this thread, for good.
    ///
    /// # Errors
    /// Something could not be given up.
    pub(crate) fn assume(self) -> Result<(), Failure> {
        let fail = |action: &str| {
            let action = action.to_owned();
            move |error: Errno| Failure::Runtime(format!("cannot {action}: {error}"))
        };
        set_no_new_privs(true).map_err(fail("rule out new privileges"))?;
        clear_ambient_capability_set().map_err(fail("give up capabilities"))?;
        for capability in CapabilitySet::all() {
            match remove_capability_from_bounding_set(capability) {
                // One that this kernel does not know, or where even this needs a capability that is not there.
                Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
                Err(error) => return Err(fail("bound capabilities")(error)),
            }
        }
        if let Some(group) = self.group {
            set_thread_groups(&[]).map_err(fail("leave the groups"))?;
            set_thread_res_gid(group, group, group).map_err(fail("change the group"))?;
        }
        if let Some(user) = self.user {
            set_thread_res_uid(user, user, user).map_err(fail("change the user"))?;
        }
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, none).map_err(fail("give up capabilities"))?;
        let left = capabilities(None).map_err(fail("see what is left of capabilities"))?;
        if left.effective.is_empty() && left.permitted.is_empty() {
            return Ok(());
        }
        Err(Failure::Runtime(format!("capabilities are left: {:?}", left.permitted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(user: Option<&str>, group: Option<&str>) -> RunAsConfig {
        RunAsConfig { user: user.map(str::to_owned), group: group.map(str::to_owned) }
    }

    #[test]
    fn users_and_groups_are_found_by_name() {
        let find = |user, group| Identity::find(&named(user, group));
        assert_eq!(find(None, None).unwrap(), Identity { user: None, group: None });
        let root = find(Some("root"), None).unwrap();
        assert_eq!((root.user, root.group), (Some(Uid::ROOT), Some(Gid::ROOT)));
        let reason = find(Some("no such user"), None).unwrap_err().to_string();
        assert!(reason.contains("run-as.user"), "{reason}");
        assert!(find(None, Some("no such group")).unwrap_err().to_string().contains("run-as.group"));
    }
}
