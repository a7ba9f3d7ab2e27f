"""Rows that the kernel meets: requests to its brokers, bytes on its channel, and what is judged outside the worker."""

from __future__ import annotations

from collections.abc import Callable

from row import ASKED, ASKED_FOR_A_FILE, STOPPED, Row, by, rows_of

NO_KERNEL = "without a kernel there is nobody to ask"
NO_READER = "an unlocked process has no channel; the reader is the thing that is tried"
NO_CHOICE = "what is tried is the kernel's own choice"

_ask = rows_of("attempts_brokers", "b")
_buffer = rows_of("attempts_buffers", "38")

BROKERS = (
    _ask("ask_for_a_key", ASKED_FOR_A_FILE),
    _ask("ask_by_walking_up", ASKED_FOR_A_FILE),
    _ask("ask_through_a_link", ASKED_FOR_A_FILE),
    _ask("ask_with_a_null_byte", by("UsageError: is not an absolute path")),
    _ask("ask_for_the_kernels_environment", ASKED_FOR_A_FILE),
    _ask("ask_for_the_kernels_memory", ASKED_FOR_A_FILE),
    _ask("ask_by_the_kernels_root", ASKED_FOR_A_FILE),
    _ask("ask_for_a_device", ASKED_FOR_A_FILE),
    _ask("ask_for_a_pipe_in_the_workspace", by("PermissionDeniedError: it is not a regular file")),
    _ask("ask_for_a_directory", by("PermissionDeniedError: it is not a regular file")),
    _ask("ask_whether_a_path_is_a_link", by("EPERM: the same is said of both")),
    _ask("ask_to_write_settings", ASKED_FOR_A_FILE),
    _ask("ask_to_write_the_kernels_code", ASKED_FOR_A_FILE, root_control=True),
    _ask("ask_for_a_secret", ASKED),
    _ask("ask_for_a_secret_by_an_odd_name", by("PermissionDeniedError")),
    _ask("ask_for_stored_results", ASKED),
    _ask("ask_a_language_model", ASKED, no_control=NO_KERNEL),
    _ask("connect_by_any_spelling", by("PermissionDeniedError")),
    _ask("connect_elsewhere_than_granted", by("PermissionDeniedError")),
    _ask("aim_a_granted_socket_elsewhere"),
    _ask("call_what_is_not_served", by("NotFoundError: there is no method"), no_control=NO_KERNEL),
    # The seals of a buffer answer EPERM.
    _buffer("shrink_a_shared_buffer", spoils=True),
    _buffer("grow_a_shared_buffer", spoils=True),
    _buffer("seal_a_shared_buffer", spoils=True),
    _buffer("borrow_all_memory", by("ResourceError: no shared buffer of"), no_control=NO_KERNEL, spoils=True),
)


def _sent(module: str) -> Callable[..., Row]:
    def row(name: str, says: str, number: str = "w", control: str = "", **more: float) -> Row:
        stops = by(says if "Error" in says else f"ProtocolError: {says}")
        word = f"{number}-{name.replace('_', '-')}"
        missing = "" if control else NO_READER
        return Row(word, module, f"wire_{name}", stops, "wire", control, missing, **more)  # type: ignore[arg-type]

    return row


_frame, _value = _sent("attempts_frames"), _sent("attempts_values")

WIRE = (
    _frame("three_gib", "a message of 3,221,225,472 bytes; at most", "40", "control_naive_length"),
    _frame("slow", "LimitError: call took longer than", "41", "control_naive_patience", seconds=0.7),
    _frame("pickle", "not msgpack", "42", "control_naive_pickle"),
    _frame("hundred_descriptors", "more file descriptors came", "43", "control_naive_descriptors"),
    _frame("one_descriptor", "more file descriptors came", "44", "control_naive_buffer"),
    _frame("array_header_of_4_gi", "exceeds max_array_len"),
    _frame("million_empty_lists", "a message of more than"),
    _frame("extension", "extension type 5"),
    _frame("timestamp", "exceeds max_ext_len"),
    _frame("deep", "not msgpack"),
    _frame("text_that_is_not_utf8", "codec can't decode"),
    _frame("end_in_the_middle", "ProtocolError: the channel closed in the middle|CrashedError"),
    _frame("message_in_a_message", "not msgpack"),
    _frame("answer_twice", "an answer to call 2, which is not in progress"),
    _frame("answer_for_another_call", "an answer to call 999999, which is not in progress"),
    _frame("call_of_a_truth_value", "a message without a kind and a number"),
    _frame("unknown_kind", "a message of kind 42"),
    _frame("kind_that_is_a_list", "a message without a kind and a number"),
    _frame("requests_without_end", "requests at once"),
    _frame("flood_of_progress", "a flood of progress"),
    _frame("progress_that_is_no_number", "progress that is not a fraction"),
    _value("array_of_pointers", "an array of '|O' is not accepted"),
    _value("array_of_records", "an array of [['a', '<f8']] is not accepted"),
    _value("array_of_text", "an array of '<U2' is not accepted"),
    _value("negative_shape", "is not a shape"),
    _value("shape_that_overflows", "cannot reshape"),
    _value("shape_of_truth", "is not a shape"),
    _value("seventy_dimensions", "is not a shape"),
    _value("truncated_array", "do not fill its shape"),
    _value("class_of_the_kernel", "'Kernel' is not a value that crosses"),
    _value("class_by_module", "'os.system' is not a value that crosses"),
    _value("private_field", "expected no more fields"),
    _value("circuit_that_points_outside", "qubit"),
    _value("result_of_another_type", "expected ToolResult, got str"),
    _value("huge_integer", "expected a whole number"),
    _value("buffer_beyond_its_end", "lie outside the shared buffer"),
    _value("buffer_never_lent", "buffer 7 is not in use"),
    _value("free_twice", "is not in use"),
    _value("error_that_exits", "PluginBrokenError: raised leaving"),
    _value("error_of_a_private_name", "PluginBrokenError: raised hiding"),
    _value("error_without_end", "an error with a text that is too long"),
    _value("error_with_a_place", "a syntax error without its place"),
    _value("port_of_a_truth_value", "expected a whole number, got bool"),
    _value("seconds_that_are_no_number", "expected a finite number"),
    _value("keys_that_collide", "keys have the same hash"),
    _value("circuit_whose_offsets_wrap", "offsets are inconsistent"),
    _value("circuit_with_a_header_without_end", "the circuit's header has"),
)


def _judged(module: str) -> Callable[..., Row]:
    def row(name: str, number: str = "k", control: str = "same", **more: bool | str) -> Row:
        control = f"control_{name}" if control == "same" else control
        word = f"{number}-{name.replace('_', '-')}"
        return Row(word, module, name, STOPPED, "kernel", control if not more.get("no_control") else "", **more)  # type: ignore[arg-type]

    return row


_start, _reading, _identity = _judged("outside_start"), _judged("outside_reading"), _judged("outside_identity")
_disk, _process, _memory = _judged("outside_disk"), _judged("outside_processes"), _judged("outside_memory")
_backend = _judged("outside_backends")

OUTSIDE_THE_WORKER = (
    _start("thread_before_the_lock", "35"),
    _start("import_time_code", "37"),
    _start("startup_files_and_variables"),
    _start("plugin_in_a_host_packages_place"),
    _start("source_distribution_at_installation"),
    _reading("manifest_that_is_no_file"),
    _reading("settings_of_a_workspace", no_control=NO_CHOICE),
    _reading("grants_that_are_too_broad"),
    _reading("file_swapped_for_a_link", "d"),
    _reading("directory_of_the_users_script", no_control=NO_CHOICE),
    _reading("metadata_that_stop_every_command", no_control=NO_CHOICE),
    _reading("everything_but_secrets", no_control=NO_CHOICE),
    _reading("half_closed_connection", no_control=NO_CHOICE),
    _identity("two_plugins_of_one_name", "d", no_control=NO_CHOICE),
    _identity("act_in_anothers_name", "d", no_control=NO_KERNEL),
    _identity("escapes_for_a_terminal", "d"),
    _identity("lines_that_look_like_the_kernels", no_control=NO_CHOICE),
    _identity("question_with_lines_of_its_own", no_control=NO_CHOICE),
    _backend("result_in_anothers_name", no_control=NO_CHOICE),
    _backend("results_of_other_backends", no_control=NO_CHOICE),
    _backend("answer_that_never_comes", no_control=NO_CHOICE),
    _backend("numbers_beyond_all_numbers", no_control=NO_CHOICE),
    _backend("theme_in_a_backends_place", no_control=NO_CHOICE),
    _disk("disk_beyond_the_quota_in_one_file", control="control_disk"),
    _disk("disk_beyond_the_quota_in_unlinked_files", control="control_disk"),
    _disk("disk_beyond_the_quota_in_many_files", "d", control="control_disk"),
    _disk("disk_beyond_the_quota_where_it_cannot_be_seen", control="control_disk"),
    _disk("disk_beyond_the_quota_too_deep_to_be_seen", control="control_disk"),
    _disk("record_that_fills_the_disk", no_control="without a kernel nothing is recorded"),
    _disk("link_followed_when_scratch_is_removed"),
    _disk("scratch_that_cannot_be_removed", no_control="newer Pythons' own removal copes as well"),
    _disk("core_file"),
    _disk("lock_that_stops_the_package_installer", control="control_lock", unpromised=True),
    _process("signals_that_fill_the_users_queue"),
    _process("descriptors_that_keep_the_kernel_from_passing_any", control="control_descriptors"),
    _process("process_that_outlives_the_plugin"),
    _process("daemon_of_a_plugin_that_runs_programs", control="control_process_that_outlives_the_plugin", only_a=True),
    _process("flag_of_a_shared_pipe"),
    _process("worker_that_is_inspected", not_root="root may look into everything; plugins are not root"),
    _memory("buffer_changed_after_the_check", "39"),
    _memory("memory_of_the_kernel_by_large_requests", no_control=NO_KERNEL),
    _memory("memory_that_ends_the_kernel_first"),
    _memory("policies_of_other_plugins", no_control=NO_CHOICE),
)
