from prom_faust.publish.rules import Rules, TopicRules


def test_a_topic_that_nobody_spoke_of_has_no_rules():
    rules = Rules()
    assert rules.find("t") is None
    assert rules.routing("t") is None
    assert rules.partitions("t") is None
    assert rules.source_of("t") is None
    assert not rules.is_compacted("t")


def test_a_declared_topic_is_what_its_declaration_says():
    rules = Rules()
    declared = TopicRules("t", 4, compacted=True, routing="kafka", key="id")
    rules.declare(declared)
    assert rules.find("t") is declared
    assert (rules.routing("t"), rules.partitions("t"), rules.is_compacted("t")) == ("kafka", 4, True)


def test_a_declared_topic_is_jump_routed_unless_it_says_otherwise():
    rules = Rules()
    rules.declare(TopicRules("t", 4))
    rules.declare(TopicRules("u", 4, routing=None))
    assert rules.routing("t") == "jump"
    assert rules.routing("u") is None


def test_an_internal_topic_has_the_routing_of_internal_topics():
    for internal in ("jump", None):
        rules = Rules(internal)
        rules.note("changelog", compacted=True, internal=True)
        assert rules.routing("changelog") == internal
        assert rules.is_compacted("changelog")


def test_another_topic_that_is_seen_keeps_the_app_s_partitioner():
    rules = Rules()
    rules.note("t", compacted=False, internal=False)
    assert rules.routing("t") is None
    assert not rules.is_compacted("t")


def test_what_is_seen_later_takes_nothing_back():
    rules = Rules()
    rules.declare(TopicRules("t", 4, compacted=True, routing="kafka"))
    rules.note("t", compacted=False, internal=False)
    assert rules.is_compacted("t")
    assert rules.routing("t") == "kafka"
    rules.note("t", compacted=False, internal=True)
    assert rules.routing("t") == "kafka"


def test_a_changelog_has_the_routing_and_the_partitions_of_its_table_s_source():
    rules = Rules()
    rules.declare(TopicRules("source", 6, routing="kafka"))
    rules.note("changelog", compacted=True, internal=True)
    rules.follow("changelog", "source")
    assert rules.source_of("changelog") == "source"
    assert (rules.routing("changelog"), rules.partitions("changelog")) == ("kafka", 6)
    assert rules.is_compacted("changelog")
    assert not rules.is_compacted("source")


def test_a_changelog_of_a_source_that_is_not_declared_keeps_the_app_s_partitioner():
    rules = Rules()
    rules.note("changelog", compacted=True, internal=True)
    rules.follow("changelog", "source")
    assert rules.routing("changelog") is None


def test_two_apps_do_not_meet():
    one, other = Rules(), Rules()
    one.declare(TopicRules("t", 4, compacted=True))
    assert other.find("t") is None
    assert not other.is_compacted("t")
