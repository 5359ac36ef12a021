use super::*;

fn metrics() -> Metrics {
    Metrics::new(Setup {
        version: "1.2.3",
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
        faults: &["origin-timeout"],
        verdicts: &["next", "trap"],
        levels: &["behavior", "key"],
        refusals: &["total"],
        logs: vec![("access", Arc::default())],
    })
}

fn request(status: u16, cache: Option<&str>) -> Finished<'_> {
    Finished { status, cache, duration_us: 1_500, origin_us: None, bytes_in: 3, bytes_out: 100 }
}

#[track_caller]
fn assert_has(page: &str, line: &str) {
    assert!(page.lines().any(|found| found == line), "no `{line}` in\n{page}");
}

#[test]
fn requests_by_behavior() {
    let metrics = metrics();
    let behavior = metrics.behavior("shop", r#"/a"b\*"#);
    behavior.observe(&request(200, Some("hit")));
    behavior.observe(&request(204, Some("hit")));
    behavior.observe(&request(502, None));
    behavior.observe(&Finished { origin_us: Some(700), ..request(0, Some("unheard-of")) });
    behavior.observe(&request(999, Some("miss")));
    let page = metrics.encode(Gauges::default());
    let labels = r#"distribution="shop",behavior="/a\"b\\*""#;
    for line in [
        format!(r#"edgeweir_requests_total{{{labels},status="2xx",cache="hit"}} 2"#),
        format!(r#"edgeweir_requests_total{{{labels},status="5xx",cache="none"}} 1"#),
        format!(r#"edgeweir_requests_total{{{labels},status="none",cache="other"}} 1"#),
        format!(r#"edgeweir_requests_total{{{labels},status="none",cache="miss"}} 1"#),
        format!(r#"edgeweir_request_duration_seconds_count{{{labels}}} 5"#),
        format!(r#"edgeweir_request_duration_seconds_bucket{{le="0.001",{labels}}} 0"#),
        format!(r#"edgeweir_request_duration_seconds_bucket{{le="0.0025",{labels}}} 5"#),
        format!(r#"edgeweir_origin_first_byte_seconds_count{{{labels}}} 1"#),
        format!(r#"edgeweir_viewer_received_bytes_total{{{labels}}} 15"#),
        format!(r#"edgeweir_viewer_sent_bytes_total{{{labels}}} 500"#),
    ] {
        assert_has(&page, &line);
    }
}

#[test]
fn the_same_names_are_the_same_counters() {
    let metrics = metrics();
    assert!(Arc::ptr_eq(&metrics.behavior("a", "*"), &metrics.behavior("a", "*")));
    assert!(!Arc::ptr_eq(&metrics.behavior("a", "*"), &metrics.behavior("b", "*")));
    assert!(Arc::ptr_eq(&metrics.hook("a", "viewer-request"), &metrics.hook("a", "viewer-request")));
}

#[test]
fn hooks_by_verdict() {
    let metrics = metrics();
    let hook = metrics.hook("jwt", "viewer-request");
    hook.record("next", Duration::from_micros(20), 64 << 10);
    hook.record("next", Duration::from_micros(30), 128 << 10);
    hook.record("trap", Duration::from_millis(90), 0);
    let page = metrics.encode(Gauges::default());
    let labels = r#"hook="jwt",stage="viewer-request""#;
    assert_has(&page, &format!(r#"edgeweir_hook_calls_total{{{labels},verdict="next"}} 2"#));
    assert_has(&page, &format!(r#"edgeweir_hook_calls_total{{{labels},verdict="trap"}} 1"#));
    assert_has(&page, &format!(r#"edgeweir_hook_duration_seconds_bucket{{le="0.000025",{labels}}} 1"#));
    assert_has(&page, &format!(r#"edgeweir_hook_memory_max_bytes{{{labels}}} 131072"#));
}

#[test]
fn the_edge_as_a_whole() {
    let metrics = metrics();
    metrics.fault("origin-timeout");
    metrics.fault("nobody-knows");
    metrics.throttled("key");
    metrics.connection_opened();
    metrics.connection_refused("total");
    metrics.reloaded(true);
    metrics.reloaded(false);
    let cache =
        StorageStats { entries: 12, weighted_bytes: 4_096, capacity: 1 << 20, evicted: 5, ..StorageStats::default() };
    let plan = metrics.plan("basic");
    plan.record("counted");
    plan.record("throttled");
    plan.throttled("key");
    let state = Some(StateGauges { up: 1, keys: 8, failures: 2, leases: 9 });
    let gauges = Gauges { snapshot: 7, connections: 3, held_bodies: 5, taken_over: 11, state, cache };
    let page = metrics.encode(gauges);
    for line in [
        r#"edgeweir_faults_total{fault="origin-timeout"} 1"#,
        r#"edgeweir_faults_total{fault="other"} 1"#,
        "edgeweir_limits_taken_over_total 11",
        r#"edgeweir_throttled_requests_total{level="behavior"} 0"#,
        r#"edgeweir_throttled_requests_total{level="key"} 1"#,
        r#"edgeweir_plan_requests_total{plan="basic",result="counted"} 1"#,
        r#"edgeweir_plan_requests_total{plan="basic",result="quota"} 0"#,
        r#"edgeweir_plan_throttled_requests_total{plan="basic",level="key"} 1"#,
        "edgeweir_state_up 1",
        "edgeweir_state_keys 8",
        "edgeweir_state_failures_total 2",
        "edgeweir_state_leases_total 9",
        "edgeweir_connections_total 1",
        "edgeweir_open_connections 3",
        r#"edgeweir_refused_connections_total{reason="total"} 1"#,
        r#"edgeweir_reloads_total{result="ok"} 1"#,
        r#"edgeweir_reloads_total{result="failed"} 1"#,
        "edgeweir_snapshot_number 7",
        "edgeweir_cache_entries 12",
        "edgeweir_cache_bytes 4096",
        "edgeweir_cache_capacity_bytes 1048576",
        "edgeweir_cache_evictions_total{cause=\"size\"} 5",
        r#"edgeweir_log_dropped_lines_total{log="access"} 0"#,
        r#"edgeweir_build_info{version="1.2.3"} 1"#,
        "process_start_time_seconds 1000.0",
    ] {
        assert_has(&page, line);
    }
    assert!(page.ends_with("# EOF\n"));
}

/// OpenMetrics 1.0, "Text Format": a family has one TYPE line before its samples, and all samples stand together.
#[test]
fn families_are_whole_and_described() {
    let metrics = metrics();
    metrics.behavior("a", "*").observe(&request(200, None));
    metrics.behavior("b", "*").observe(&request(200, None));
    let page = metrics.encode(Gauges::default());
    let mut families = Vec::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap_or_default();
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
        } else if !line.starts_with('#') {
            let family = families.last().copied().unwrap_or_default();
            assert!(!family.is_empty() && line.starts_with(family), "{line} is not of {family}");
        }
    }
    assert!(families.len() > 15, "{families:?}");
}
