"""Queries of a router are answered by the kernel while XDP takes the groups, and the packets go on meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import namespaces
import pytest
from deadline import wait_for
from querier import Querier, Report, igmp2_query, igmp3_query, mld2_query, querier
from service_rig import Exchange, Rig
from simulated_channel import ONE_LINE

from nanotape.capture.conservation import ring_books
from nanotape.capture.service import Service

pytestmark = pytest.mark.root

A, B = "239.192.7.1", "239.192.7.2"
GROUP6, SENDER = "ff05::7:1", "10.211.0.1"
SPECIFIC = (
    ONE_LINE
    + """
[[channel]]
name = "specific"
feed = "simulated"
[[channel.line]]
name = "S"
group = "232.1.1.1"
port = 31002
source = "10.211.0.1"
"""
)
OVER_IPV6 = (
    ONE_LINE
    + """
[[channel]]
name = "six"
feed = "simulated"
[[channel.line]]
name = "6"
group = "ff05::7:1"
port = 31003
"""
)


@pytest.fixture
def router(namespace_pair: namespaces.NamespacePair) -> Iterator[Querier]:
    with querier(namespace_pair.left) as running:
        yield running


def igmp3(kind: str, group: str, *sources: str) -> Report:
    return Report("igmp3", kind, group, sources)


def ask_while_sending(rig: Rig, service: Service, ask: Callable[[], None]) -> None:
    """Line A is sent all the while; afterwards each of its packets is in the ring."""
    exchange = rig.exchange("--rate", "5000", "--seconds", "60", lines=["A"])
    try:
        wait_moving(rig, exchange)
        ask()
        wait_moving(rig, exchange)
        exchange.process.terminate()
        sent = exchange.result().line("A").sent
    finally:
        exchange.stop()
    books = rig.wait_taken(service)
    assert (books.in_ring, books.lost, books.unexplained) == (sent, 0, 0)


def wait_moving(rig: Rig, exchange: Exchange) -> None:
    with rig.ring() as ring:
        before = ring_books(ring).in_ring
        wait_for(lambda: ring_books(ring).in_ring > before + 1000, "packets to come in", 30)
    assert exchange.running()


def test_nobody_answers_where_no_service_has_joined(router: Querier) -> None:
    """So that the answers below are the service's doing."""
    router.send(igmp3_query(A))
    router.send(igmp3_query())
    with pytest.raises(AssertionError, match="an answer that must not come"):
        wait_for(lambda: answers_heard(router), "an answer that must not come", 0.6)


def test_joins_are_reported_at_the_start_and_given_up_at_the_end(rig: Rig, router: Querier) -> None:
    with rig.service(record=False):
        router.wait_for(igmp3("to_exclude", A), igmp3("to_exclude", B))
        router.forget()
    router.wait_for(igmp3("to_include", A), igmp3("to_include", B))


@pytest.mark.parametrize("select", ["channels", "multicast"])
def test_version_3_queries_are_answered_while_xdp_takes_the_groups(
    select: str, make_service_rig: Callable[..., Rig], router: Querier
) -> None:
    """With `multicast` the queries themselves are multicast that could be taken: they must not be."""
    rig = make_service_rig(source=f'select = "{select}"')
    with rig.service(record=False) as service:
        router.wait_for(igmp3("to_exclude", A))

        def ask() -> None:
            for query, answers in (
                (igmp3_query(), [igmp3("is_exclude", A), igmp3("is_exclude", B)]),
                (igmp3_query(A), [igmp3("is_exclude", A)]),
                (igmp3_query(B, [SENDER]), [igmp3("is_exclude", B)]),
            ):
                router.ask(query, *answers)
                assert set(answers_heard(router)) == set(answers)

        ask_while_sending(rig, service, ask)


def answers_heard(router: Querier) -> list[Report]:
    """Without the joins, which the kernel reports twice, within seconds."""
    return [report for report in router.heard() if report.kind.startswith("is_")]


@pytest.mark.parametrize("is_forced", [False, True])
def test_version_2_queries_are_answered_by_version_2_reports(
    is_forced: bool, rig: Rig, router: Querier, namespace_pair: namespaces.NamespacePair
) -> None:
    """Of a router that speaks it, or of an administrator who says so (force_igmp_version): then the joins too."""
    answers = [Report("igmp2", "report", group) for group in (A, B)]
    if is_forced:
        namespace_pair.right.run("sysctl", "-qw", "net.ipv4.conf.veth-r.force_igmp_version=2")
    with rig.service(record=False) as service:
        if is_forced:
            assert {each.protocol for each in router.wait_for(*answers)} == {"igmp2"}

        def ask() -> None:
            router.ask(igmp2_query(), *answers)
            router.ask(igmp2_query(A), answers[0])

        ask_while_sending(rig, service, ask)
        router.forget()
    router.wait_for(Report("igmp2", "leave", A), Report("igmp2", "leave", B))


def test_a_source_specific_join_names_its_source_in_every_report(
    make_service_rig: Callable[..., Rig], router: Querier
) -> None:
    group = "232.1.1.1"
    rig = make_service_rig(channels=SPECIFIC)
    with rig.service(record=False) as service:
        joined = router.wait_for(igmp3("allow", group, SENDER), igmp3("to_exclude", A))
        assert {report.sources for report in joined if report.group == group} == {(SENDER,)}

        def ask() -> None:
            for query in (igmp3_query(), igmp3_query(group), igmp3_query(group, [SENDER, "10.211.0.9"])):
                router.ask(query, igmp3("is_include", group, SENDER))
            router.forget()
            router.send(igmp3_query(group, ["10.211.0.9"]))  # of another sender: nobody wants it
            with pytest.raises(AssertionError, match="an answer that must not come"):
                wait_for(lambda: answers_heard(router), "an answer that must not come", 0.6)

        ask_while_sending(rig, service, ask)
        router.forget()
    router.wait_for(igmp3("block", group, SENDER))


def test_mld_queries_are_answered_while_xdp_takes_the_groups(
    make_service_rig: Callable[..., Rig], router: Querier, namespace_pair: namespaces.NamespacePair
) -> None:
    for side in (namespace_pair.left, namespace_pair.right):
        side.run("sysctl", "-qw", f"net.ipv6.conf.{side.interface}.dad_transmits=0")
        side.run("sysctl", "-qw", f"net.ipv6.conf.{side.interface}.disable_ipv6=0")
    wait_for(lambda: "fe80" in namespace_pair.right.run("ip", "-6", "address", "show", "dev", "veth-r").stdout, "IPv6")
    rig = make_service_rig(channels=OVER_IPV6)
    with rig.service(record=False) as service:
        router.wait_for(Report("mld2", "to_exclude", GROUP6))

        def ask() -> None:
            for query in (mld2_query(), mld2_query(GROUP6), mld2_query(GROUP6, ["fe80::1"])):
                router.ask(query, Report("mld2", "is_exclude", GROUP6))

        ask_while_sending(rig, service, ask)
