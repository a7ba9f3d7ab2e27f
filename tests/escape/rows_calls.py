"""Rows that are tried inside a worker: paths, descriptors, processes, privileges, and whole families of calls."""

from __future__ import annotations

from row import CLOSED, HIDDEN, KILLED, READ_ONLY, UNSEEN, by, rows_of

_path = rows_of("attempts_paths", "p")
_family = rows_of("attempts_families", "c")
_descriptor = rows_of("attempts_descriptors", "c")
_process = rows_of("attempts_processes", "c")
_privilege = rows_of("attempts_privileges", "c")

PATHS = (
    _path("open_by_openat2"),
    _path("open_by_open_tree"),
    _path("reopen_what_only_names_a_file", HIDDEN),
    _path("open_from_a_named_directory", HIDDEN),
    _path("open_from_the_working_directory", HIDDEN),
    _path("list_by_a_named_directory", HIDDEN),
    _path("learn_size_by_statx", UNSEEN),
    _path("learn_existence_by_access", UNSEEN),
    _path("learn_existence_by_o_path", UNSEEN),
    _path("learn_existence_by_chdir", UNSEEN),
    _path("learn_where_a_link_leads", UNSEEN),
    _path("read_attributes"),
    _path("create_outside"),
    _path("make_directory_outside", HIDDEN),
    _path("remove_outside", HIDDEN),
    _path("move_in_from_outside", HIDDEN),
    _path("move_out_over_a_file", HIDDEN),
    _path("exchange_with_outside", HIDDEN),
    _path("link_by_descriptor"),
    _path("change_times_by_descriptor"),
    _path("make_setuid_by_descriptor"),
    _path("leave_a_whiteout"),
    _path("make_a_device", root_control=True),
    _path("bind_a_socket_in_the_workspace"),
    _path("write_bytecode_of_the_plugin", READ_ONLY),
    _path("change_root", root_control=True),
    _path("make_a_file_system", root_control=True),
    _path("mount_over", root_control=True),
    _path("watch_everything"),
    _path("read_kernel_log", root_control=True),
    _path("open_a_terminal", HIDDEN),
    _path("write_shared_memory_directory", HIDDEN),
    _path("open_own_memory_file", HIDDEN),
    _path("read_own_map", HIDDEN),
    _path("read_starting_environment", HIDDEN),
    _path("open_a_namespace_file", UNSEEN),
    _path("open_anothers_namespace_file", HIDDEN),
    _path("open_anothers_descriptor", HIDDEN),
    _path("read_connections_of_the_host", HIDDEN),
    _path("read_core_pattern", HIDDEN),
    _path("write_processor_settings", CLOSED, root_control=True),
    _path("read_the_record_of_permissions", HIDDEN),
    _path("grant_oneself", HIDDEN),
    _path("loosen_the_settings", HIDDEN),
    _path("read_scratch_of_another", HIDDEN),
    _path("write_scratch_of_another", HIDDEN),
    _path("write_by_mapping", READ_ONLY),
    _path("truncate_imported_code"),
    _path("hidden_temporary_file_that_runs_as_its_owner"),
)

CALLS = (
    _family("every_other_system_call"),
    _family("every_prctl"),
    _family("every_fcntl"),
    _family("every_ioctl"),
    _family("every_socket_option"),
    _family("every_socket_family"),
    _descriptor("connect_by_the_call_itself"),
    _descriptor("name_the_peer_of_the_channel"),
    _descriptor("pass_credentials"),
    _descriptor("datagram_pair"),
    _descriptor("send_to_a_name_from_a_stream"),
    _descriptor("bind_a_pair_to_a_name"),
    _descriptor("many_messages_at_once"),
    _descriptor("notification_pipe"),
    _descriptor("large_pipe"),
    _descriptor("memory_file"),
    _descriptor("secret_memory"),
    _descriptor("zero_copy_into_a_pipe"),
    _descriptor("hold_descriptors_in_flight", by("ETOOMANYREFS"), spoils=True),  # RLIMIT_NOFILE
    _descriptor("signals_on_readiness"),
    _process("group_of_a_process"),
    _process("session_of_a_process"),
    _process("priority_of_a_process"),
    _process("disk_priority_of_a_process"),
    _process("scheduler_of_a_process"),
    _process("scheduling_of_a_process"),
    _process("time_slice_of_a_process"),
    _process("pages_of_a_process"),
    _process("write_memory_of_a_process"),
    _process("descriptor_of_a_process"),
    _process("signal_a_task"),
    _process("signal_everybody"),
    _process("signal_own_group"),
    _process("signal_another_worker"),
    _process("lock_list_of_a_process"),
    _process("be_traced"),
    _process("processor_time_of_a_process", by("EINVAL", "")),  # process namespace
    _process("sleep_on_a_process_clock", by("EINVAL", "")),  # process namespace
    _process("existence_of_a_process_by_futex", by("ESRCH", "")),  # process namespace
    _process("wait_for_all_children"),
    _process("timer_that_signals"),
    _privilege("be_somebody_else", root_control=True),
    _privilege("set_groups", root_control=True),
    _privilege("take_a_capability"),
    _privilege("filter_that_tells"),
    _privilege("a_lock_of_ones_own"),
    _privilege("load_into_the_kernel", root_control=True),
    _privilege("count_events_of_the_host", root_control=True),
    _privilege("read_segments"),
    _privilege("turn_off_randomisation"),
    _privilege("lock_a_mebibyte_of_memory", by("ENOMEM")),  # RLIMIT_MEMLOCK
    _privilege("raise_the_limit_of_core_files", by("ValueError: not allowed to raise maximum limit")),
    _privilege("call_by_the_x32_door", KILLED, no_control="most kernels have no x32 calls"),
    _privilege(
        "secret_in_own_memory", by("KeyError: not found in all of it")
    ),  # the zygote starts with an empty environment
)
