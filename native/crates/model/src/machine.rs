//! What the machine says of its memory.

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};
use tillage_protocol::EngineError;

/// Reads memory numbers; kept between steps since its creation is the slow part.
#[derive(Debug)]
pub struct Machine {
    system: System,
    pid: Pid,
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new()
    }
}

impl Machine {
    /// Reads the memory of now.
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

    /// Refuses what cannot fit, before it is tried.
    ///
    /// # Errors
    /// `out_of_memory` with both sizes.
    pub fn check(&self, planned: u64) -> Result<(), EngineError> {
        let available = self.available();
        if available == 0 || planned <= available {
            return Ok(());
        }
        let mb = |bytes: u64| bytes.div_ceil(1 << 20);
        Err(EngineError::environment(
            "out_of_memory",
            format!("The run would take {} MB, and {} MB are free.", mb(planned), mb(available)),
            "Lower `batch_tokens` or `context`, close other programs, or use a smaller model.",
        ))
    }
}
