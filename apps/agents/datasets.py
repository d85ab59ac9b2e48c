"""What of the agents may leave one day.

Their trades never do, and neither do their model calls: accounts and costs are summed over them.
"""

from django.db.models import Exists, F, OuterRef, Q, Subquery

from apps.agents.choices import OutcomeStatus
from apps.agents.models import AgentDecision, AgentPerformance, DecisionOutcome
from apps.shared.retention.datasets import Dataset, Dependent, Exemption, register

unjudged = DecisionOutcome.objects.filter(decision_id=OuterRef("pk"), status=OutcomeStatus.OPEN)
# One probe of the index for each row; as "a later one exists" it would be a join of all with all.
newest = AgentPerformance.objects.filter(agent_id=OuterRef("agent_id")).order_by("-snapshot_time")
times = newest.values("snapshot_time")
# Within its quarter of an hour the newest is made anew, from the one before.
NEWEST = Q(snapshot_time=Subquery(times[:1])) | Q(snapshot_time=Subquery(times[1:2]))

register(
    Dataset(
        name="agent_decisions",
        title="Agent decisions",
        about="What agents decided and what came of it, unless one of their trades cites it.",
        model=AgentDecision,
        times=("timestamp",),
        age_days=92,
        never=(Exemption("unjudged", "what became of it is not known yet", Q(Exists(unjudged))),),
        dependents=(Dependent(DecisionOutcome, F("decision")),),
    ),
    Dataset(
        name="agent_performance",
        title="Agent performance",
        about="Accounts of agents as they stood in each quarter of an hour.",
        model=AgentPerformance,
        times=("snapshot_time",),
        age_days=183,
        # Each snapshot carries the peak of those before it.
        never=(Exemption("newest", "it is one of the newest two of its agent", NEWEST),),
    ),
)
