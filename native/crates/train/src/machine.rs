//! What the machine says of its memory.

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

/// Reads memory numbers; kept between steps since its creation is the slow part.
#[derive(Debug)]
pub struct Machine {
    system: System,
    pid: Pid,
}

impl Machine {
    pub fn new() -> Self {
        let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        Self { system: System::new_with_specifics(kind), pid: Pid::from_u32(std::process::id()) }
    }

    /// Resident memory of this process, bytes; 0 where the system does not say.
    pub fn resident(&mut self) -> u64 {
        let only = ProcessesToUpdate::Some(&[self.pid]);
        self.system.refresh_processes_specifics(only, false, ProcessRefreshKind::nothing().with_memory());
        self.system.process(self.pid).map_or(0, |p| p.memory())
    }

    /// Memory that new allocations may take, bytes.
    pub fn available(&self) -> u64 {
        let limit = self.system.cgroup_limits().map(|c| c.free_memory);
        let system = self.system.available_memory();
        limit.map_or(system, |l| l.min(system))
    }
}
