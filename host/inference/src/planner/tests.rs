use proptest::prelude::*;

use super::*;

const MB: u64 = 1_000_000;
const GB: u64 = 1000 * MB;

/// 20 GB of weights in 5 shards of 4 GB: 40 layers of 475 MB and 1 GB beside them; each layer has 50 MB of cache.
fn twenty_gigabytes() -> Needs {
    let layer = Layer { weights_bytes: 475 * MB, cache_bytes: 50 * MB };
    Needs { ends_bytes: GB, layers: vec![layer; 40], workspace_bytes: 500 * MB, staging_bytes: 4 * GB }
}

fn gpu(total_bytes: u64, headroom_bytes: u64) -> Device {
    Device { headroom_bytes, ..Device::unused(total_bytes) }
}

#[test]
fn twenty_gigabytes_of_shards_on_a_device_of_22_with_2_of_headroom_are_split() {
    let needs = twenty_gigabytes();
    let device = gpu(22 * GB, 2 * GB);
    let weights: u64 = needs.layers.iter().map(|layer| layer.weights_bytes).sum::<u64>() + needs.ends_bytes;
    assert_eq!(weights, device.room_now(), "the weights alone seem to fit, to the byte");
    // 33 × 475 MB + 4 GB of staging are 19.675 GB; a 34th layer would make 20.15 GB.
    let split = Placement::Split { gpu_layers: 33, cpu_layers: 7 };
    let machine = Machine { gpu: Some(device), cpu: Device::unused(16 * GB) };
    assert_eq!(plan(&needs, &machine), Plan::Load(split));
    // The CPU's part: 1 GB + 7 × 475 MB + 4 GB of staging.
    let cpu = GB + 7 * 475 * MB + 4 * GB;
    assert_eq!(plan(&needs, &Machine { cpu: Device::unused(cpu), ..machine }), Plan::Load(split));
    let Plan::Refused(shortage) = plan(&needs, &Machine { cpu: Device::unused(cpu - 1), ..machine }) else {
        panic!("a byte too few and it was planned")
    };
    assert_eq!(
        shortage,
        Shortage { needed_bytes: 24 * GB, gpu_bytes: Some(20 * GB), cpu_bytes: cpu - 1, missing_bytes: 1 }
    );
}

#[test]
fn each_place_begins_at_its_exact_byte() {
    let layer = Layer { weights_bytes: 10, cache_bytes: 3 };
    let needs = Needs { ends_bytes: 5, layers: vec![layer; 2], workspace_bytes: 4, staging_bytes: 7 };
    let plan = |gpu, cpu| plan(&needs, &Machine { gpu: Some(gpu), cpu: Device::unused(cpu) });
    let on = Device::unused;
    assert_eq!(plan(on(35), 7), Plan::Load(Placement::Gpu)); // 5 + 20 + max(4 + 6, 7)
    assert!(matches!(plan(on(35), 6), Plan::Refused(_)), "no room to pass the file through");
    let split = |gpu_layers, cpu_layers| Plan::Load(Placement::Split { gpu_layers, cpu_layers });
    assert_eq!(plan(on(34), 12), split(2, 0)); // 30 on the GPU, 5 + max(4, 7) on the CPU
    assert_eq!(plan(on(30), 12), split(2, 0));
    assert_eq!(plan(on(29), 22), split(1, 1)); // 17 on the GPU, 15 + 7 on the CPU
    assert_eq!(plan(on(17), 22), split(1, 1));
    assert!(matches!(plan(on(17), 21), Plan::Refused(Shortage { missing_bytes: 1, .. })));
    assert_eq!(plan(on(16), 35), Plan::Load(Placement::Cpu));
    assert!(matches!(plan(on(16), 34), Plan::Refused(Shortage { missing_bytes: 1, needed_bytes: 35, .. })));
    assert_eq!(plan(gpu(36, 1), 7), Plan::Load(Placement::Gpu));
}

#[test]
fn what_other_models_hold_is_waited_for_and_what_strangers_hold_is_not() {
    let needs = Needs { ends_bytes: 10, ..Needs::default() };
    let on = |free_bytes, held_bytes| {
        let cpu = Device { total_bytes: 12, free_bytes, held_bytes, headroom_bytes: 2 };
        plan(&needs, &Machine { gpu: None, cpu })
    };
    assert_eq!(on(12, 0), Plan::Load(Placement::Cpu));
    assert_eq!(on(11, 1), Plan::Wait(Placement::Cpu));
    assert!(matches!(on(11, 0), Plan::Refused(Shortage { needed_bytes: 10, cpu_bytes: 9, .. })));
}

#[test]
fn sums_that_overflow_fit_nowhere() {
    let layer = Layer { weights_bytes: u64::MAX / 2 + 1, cache_bytes: 0 };
    let needs = Needs { layers: vec![layer; 2], ..Needs::default() };
    let all = Machine { gpu: None, cpu: Device::unused(u64::MAX) };
    assert!(matches!(plan(&needs, &all), Plan::Refused(Shortage { needed_bytes: u64::MAX, .. })));
}

#[test]
fn the_cache_is_shared_among_layers_to_the_byte() {
    let needs = Needs { layers: vec![Layer::default(); 3], ..Needs::default() }.with_cache(11);
    assert_eq!(needs.layers.iter().map(|layer| layer.cache_bytes).collect::<Vec<_>>(), [4, 4, 3]);
}

/// The better the lower; more layers on the GPU are better.
fn rank(plan: &Plan) -> (u8, usize) {
    let placed = |placement: &Placement| match placement {
        Placement::Gpu => (0, 0),
        Placement::Split { cpu_layers, .. } => (1, *cpu_layers),
        Placement::Cpu => (2, 0),
    };
    match plan {
        Plan::Load(placement) => placed(placement),
        Plan::Wait(placement) => (3 + placed(placement).0, placed(placement).1),
        Plan::Refused(_) => (6, 0),
    }
}

/// What each device holds, counted on its own: the weights in order, then the larger of staging and running.
fn held(needs: &Needs, placement: Placement) -> (u128, u128) {
    let sum = |layers: &[Layer], ends: u64| {
        let weights: u128 = layers.iter().map(|layer| u128::from(layer.weights_bytes)).sum();
        let cache: u128 = layers.iter().map(|layer| u128::from(layer.cache_bytes)).sum();
        let running = cache + u128::from(needs.workspace_bytes);
        weights + u128::from(ends) + running.max(u128::from(needs.staging_bytes))
    };
    match placement {
        Placement::Gpu => (sum(&needs.layers, needs.ends_bytes), u128::from(needs.staging_bytes)),
        Placement::Split { gpu_layers, .. } => {
            let (gpu, cpu) = needs.layers.split_at(gpu_layers);
            (sum(gpu, 0), sum(cpu, needs.ends_bytes))
        }
        Placement::Cpu => (0, sum(&needs.layers, needs.ends_bytes)),
    }
}

fn bytes() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0_u64..60, 1 => Just(u64::MAX / 3)]
}

fn needs() -> impl Strategy<Value = Needs> {
    let layer =
        (bytes(), bytes()).prop_map(|(weights_bytes, cache_bytes)| Layer { weights_bytes, cache_bytes });
    (bytes(), proptest::collection::vec(layer, 0..6), bytes(), bytes()).prop_map(
        |(ends_bytes, layers, workspace_bytes, staging_bytes)| Needs {
            ends_bytes,
            layers,
            workspace_bytes,
            staging_bytes,
        },
    )
}

fn device() -> impl Strategy<Value = Device> {
    (0_u64..300, 0_u64..300, 0_u64..300, 0_u64..20).prop_map(
        |(total_bytes, free_bytes, held_bytes, headroom_bytes)| Device {
            total_bytes,
            free_bytes,
            held_bytes,
            headroom_bytes,
        },
    )
}

fn machine() -> impl Strategy<Value = Machine> {
    (proptest::option::of(device()), device()).prop_map(|(gpu, cpu)| Machine { gpu, cpu })
}

fn fits(needs: &Needs, placement: Placement, gpu: Option<u64>, cpu: u64) -> bool {
    let (on_gpu, on_cpu) = held(needs, placement);
    on_gpu <= u128::from(gpu.unwrap_or(0)) && on_cpu <= u128::from(cpu)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_plan_never_exceeds_a_device(needs in needs(), machine in machine()) {
        let (now, later) = (machine.gpu.map(|gpu| gpu.room_now()), machine.gpu.map(|gpu| gpu.room_later()));
        match plan(&needs, &machine) {
            Plan::Load(placement) => prop_assert!(fits(&needs, placement, now, machine.cpu.room_now())),
            Plan::Wait(placement) => prop_assert!(fits(&needs, placement, later, machine.cpu.room_later())),
            Plan::Refused(_) => {}
        }
    }

    #[test]
    fn more_memory_never_makes_a_plan_worse(needs in needs(), machine in machine(), more in 0_u64..100, on_gpu: bool) {
        let mut larger = machine;
        let device = if on_gpu { larger.gpu.get_or_insert_default() } else { &mut larger.cpu };
        device.total_bytes += more;
        device.free_bytes += more;
        prop_assert!(rank(&plan(&needs, &larger)) <= rank(&plan(&needs, &machine)));
    }

    #[test]
    fn a_model_is_refused_exactly_where_no_placement_fits(needs in needs(), machine in machine()) {
        let gpu = machine.gpu.map(|gpu| gpu.room_later());
        let splits = (1..=needs.layers.len())
            .map(|gpu_layers| Placement::Split { gpu_layers, cpu_layers: needs.layers.len() - gpu_layers });
        let anywhere = splits
            .chain([Placement::Gpu])
            .filter(|_| gpu.is_some())
            .chain([Placement::Cpu])
            .any(|placement| fits(&needs, placement, gpu, machine.cpu.room_later()));
        prop_assert_eq!(matches!(plan(&needs, &machine), Plan::Refused(_)), !anywhere);
    }
}
